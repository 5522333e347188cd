"""The catalogue's tables, one file for each of those who say the metrics."""
