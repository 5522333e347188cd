"""What both wings say while they work: metric names, recorders, journals."""
