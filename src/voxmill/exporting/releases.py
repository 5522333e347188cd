"""What each recipe's versions reached: champion, challenger and those before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voxmill.exporting.fleet import Candidate
from voxmill.exporting.samples import Sample
from voxmill.observability.labels import ARTEFACTS
from voxmill.observability.metric import NAMED
from voxmill.runs.git import Git
from voxmill.runs.project import Project
from voxmill.runs.registry import Registry

VERSIONS = 20
"""The newest so many of a recipe are served."""
UNRELEASED = "unreleased"
"""The version of a challenger: its run's id would make a series for each run."""
SIZES = "sizes"

Role = Literal["champion", "challenger", "former"]


@dataclass(frozen=True, kw_only=True)
class ReleaseView:
    """One version of a recipe."""

    recipe: str
    version: str
    role: Role
    released: float | None
    """Seconds since 1970; None for a challenger."""
    figures: Mapping[str, Any]
    """The evaluate stage's metrics.json: figures by artefact by test set, and `sizes`."""


class ReleaseReader:
    """Asks the origin for its tags, through a mirror of its own.

    `voxmill release` locks the project's mirror while it works; looking must not hold it up.

    Args:
        project: Whose origin.
    """

    def __init__(self, project: Project) -> None:
        folder = project.cache / "exporter-tags.git"
        self._registry = Registry(project, Git(folder))
        self._folder = folder

    def refresh(self) -> None:
        """Brings the tags.

        Raises:
            VoxmillError: The origin does not answer, or git is missing.
        """
        if not (self._folder / "HEAD").is_file():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            Git(self._folder.parent).run("init", "--quiet", "--bare", str(self._folder))
        self._registry.refresh()

    def released_commits(self, recipes: Iterable[str]) -> frozenset[str]:
        """The commits of these recipes that have a version."""
        return frozenset(v.commit for recipe in recipes for v in self._registry.versions(recipe))

    def views(self, recipe: str, candidate: Candidate | None) -> list[ReleaseView]:
        """The newest versions of a recipe, and its challenger.

        Args:
            recipe: Its name.
            candidate: The newest finished run that is not released; it is the challenger unless
                the champion came after it.
        """
        champion = self._registry.champion(recipe)
        dates = self._dates(recipe)
        views = [
            ReleaseView(
                recipe=recipe,
                version=version.name,
                role="champion" if version == champion else "former",
                released=dates.get(version.name),
                figures=self._registry.figures(recipe, version.name),
            )
            for version in self._registry.versions(recipe)
        ]
        kept = views[-VERSIONS:]
        kept += [v for v in views[:-VERSIONS] if v.role == "champion"]
        newest = max((v.released or 0.0 for v in views if v.role == "champion"), default=0.0)
        if candidate is not None and candidate.opened > newest:
            kept.append(_challenger(recipe, candidate))
        return kept

    def _dates(self, recipe: str) -> dict[str, float]:
        listed = self._registry.git.run(
            "for-each-ref", "--format=%(refname:strip=2) %(creatordate:unix)", "refs/tags/"
        )
        found = {}
        for line in listed.splitlines():
            tag, _, date = line.rpartition(" ")
            name, _, version = tag.partition("@")
            if name == recipe and version and date:
                found[version] = float(date)
        return found


def release_samples(view: ReleaseView) -> Iterator[Sample]:
    """All series of a version."""
    of = (view.recipe, view.role, view.version)
    if view.released is not None:
        yield Sample("voxmill_release_timestamp_seconds", of, view.released)
    for test_set, artefact, figures in _measured(view.figures):
        for name, key in (
            ("wer_ratio", "wer"),
            ("cer_ratio", "cer"),
            ("real_time_ratio", "real_time_factor"),
        ):
            value = figures.get(key)
            if isinstance(value, (int, float)):
                labels = (*of, test_set, artefact)
                yield Sample(f"voxmill_release_{name}", labels, float(value))
    sizes = view.figures.get(SIZES)
    for artefact, size in sizes.items() if isinstance(sizes, dict) else ():
        if artefact in ARTEFACTS and isinstance(size, (int, float)):
            yield Sample("voxmill_release_artefact_bytes", (*of, artefact), float(size))


def _measured(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for test_set, table in figures.items():
        if test_set == SIZES or not isinstance(table, dict) or not NAMED.fullmatch(test_set):
            continue
        for artefact, values in table.items():
            if artefact in ARTEFACTS and isinstance(values, dict):
                yield test_set, artefact, values


def _challenger(recipe: str, candidate: Candidate) -> ReleaseView:
    path = candidate.folder / "artifacts" / recipe / "evaluate" / "metrics.json"
    try:
        figures = json.loads(path.read_bytes())
    except (OSError, ValueError):  # deleted, or brought back by nobody yet
        figures = {}
    return ReleaseView(
        recipe=recipe,
        version=UNRELEASED,
        role="challenger",
        released=None,
        figures=figures if isinstance(figures, dict) else {},
    )
