"""All dashboards, as the JSON that is checked in."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.exporting.dashboards import data, fleet, platform, releases, training
from voxmill.exporting.dashboards.frame import Frame, as_text, laid_out

DASHBOARDS: tuple[Callable[[], Frame], ...] = (
    training.frame,
    fleet.frame,
    data.frame,
    releases.frame,
    platform.frame,
)
"""In the order in which Grafana's menu should list them."""


def dashboard_texts() -> dict[str, str]:
    """JSON by file name: `training.json`, …."""
    frames = [make() for make in DASHBOARDS]
    return {
        f"{frame.uid.removeprefix('voxmill-')}.json": as_text(laid_out(frame)) for frame in frames
    }
