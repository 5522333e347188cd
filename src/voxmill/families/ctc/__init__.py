"""Connectionist temporal classification on a conformer encoder."""
