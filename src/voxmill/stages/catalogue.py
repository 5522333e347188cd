"""The eight stages by name; light, so that `voxmill graph` and the command line can ask it."""

from __future__ import annotations

STAGE_VERSIONS: dict[str, int] = {
    "ingest": 1,
    "audit": 1,
    "verify": 1,
    "prepare": 1,
    "probe": 1,
    "train": 1,
    "package": 1,
    "evaluate": 1,
}
"""Raised whenever the same inputs would give another output; parameters of the stages in DVC."""
