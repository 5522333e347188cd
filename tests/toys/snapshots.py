"""A recipe as pipeline.json has it, small."""

from __future__ import annotations

from typing import Any


def stage(*upstream: str, **meta: Any) -> dict[str, Any]:
    """A stage behind others."""
    return {"desc": f"After {upstream}", "upstream": list(upstream), "meta": meta}


def snapshot(**changes: Any) -> dict[str, Any]:
    """One recipe `toy` of four stages."""
    entry = {
        "title": "A toy",
        "family": "ctc",
        "description": "What it is for.",
        "stages": {
            "ingest": stage(timeout_hours=2, grace_seconds=30),
            "verify": stage("ingest"),
            "prepare": stage("ingest", queue="large"),
            "train": stage("prepare", timeout_hours=2, grace_seconds=60),
        },
        "form": [],
        "release": {},
        "schedule": {},
        "resources": {},
    }
    return {"recipes": {"toy": entry | changes}}
