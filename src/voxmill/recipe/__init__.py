"""Recipes: the typed form of the YAML files that a user edits."""
