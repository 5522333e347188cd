"""Utterances, manifests, splits and shards: what is in a dataset and in which state."""
