"""Turns a trained model into files that others load, and proves that they agree."""
