"""Tests of the parts of the stage evaluate."""
