"""The parts of the stage train."""
