"""Kinds of model behind one port."""
