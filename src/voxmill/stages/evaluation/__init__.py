"""The parts of the stage evaluate: measuring, gates, tables and the report page."""
