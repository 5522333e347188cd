"""Where a stage runs; one file for each engine."""
