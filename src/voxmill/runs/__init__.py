"""Runs, workspaces, memory and releases: clones, branches and tags."""
