"""What releasing a run would do, told before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from voxmill.pipeline.gates import Waiver, read_waivers
from voxmill.runs.project import Project
from voxmill.runs.registry import next_version, open_registry, version_name
from voxmill.runs.release import measured, same_release
from voxmill.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a release of a run would be, beside the champion."""

    version: str
    """What it would become, such as `v0.1.3`; the present version where `unchanged`."""
    unchanged: bool
    """True where no tag would be added: this run, or its outputs, are released already."""
    champion: str = ""
    """The present champion's version; empty where there is none."""
    figures: Mapping[str, JsonValue] = field(default_factory=dict)
    """The run's metrics.json; empty before it was measured."""
    champion_figures: Mapping[str, JsonValue] = field(default_factory=dict)
    """The champion's, from its tag."""
    waivers: tuple[Waiver, ...] = ()
    """Those of this run."""


def preview(project: Project, run: Run) -> Preview:
    """What `release` would do now; changes nothing but this machine's copy of the tags.

    Whether the run may be released at all (finished, gates) is for `release` to say.

    Raises:
        OriginUnreachable: The git origin does not answer.
    """
    with open_registry(project) as registry:
        registry.refresh()
        known = registry.versions(run.recipe)
        champion = registry.champion(run.recipe)
        there = same_release(registry, run, known)
        return Preview(
            version=there.name if there else version_name(next_version(known)),
            unchanged=there is not None,
            champion=champion.name if champion else "",
            figures=measured(run),
            champion_figures=registry.figures(run.recipe, champion.name) if champion else {},
            waivers=tuple(one for one in read_waivers(run.memory) if one.run == run.id),
        )
