"""The newest run of a recipe that any machine opened, as the git origin knows it.

Runs of other machines are in no folder here, so this reads branches: a run's branch is pushed when
the run is opened, with its `run.json` and its listing of the source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from voxmill.runs.git import Git
from voxmill.runs.memory import LISTING, lists_what_main_lists, path_of
from voxmill.runs.project import Project
from voxmill.runs.run import RUN_FILE, RunRecord


@dataclass(frozen=True, kw_only=True)
class NewestRun:
    """A run that took its recipe's own source."""

    id: str
    began: datetime
    """When it was opened, with a time zone."""
    listing: bytes | None
    """What it listed; None where its branch has no listing."""


def newest_run(project: Project, recipe: str) -> NewestRun | None:
    """The run of the recipe that began last; None where there was none.

    Runs with another source (an override, an uncommitted recipe) do not count: they say nothing
    about what the recipe's source holds.

    Raises:
        OriginUnreachable: The origin does not answer.
    """
    git = Git(project.root)
    commits = _bring_branches(git, project.origin, recipe)
    found = [
        (record, commit)
        for record, commit in zip(_records(git, commits), commits, strict=True)
        if record is not None and lists_what_main_lists(record)
    ]
    if not found:
        return None
    record, commit = max(found, key=lambda entry: entry[0].created)
    return NewestRun(
        id=record.id,
        began=datetime.fromisoformat(record.created),
        listing=git.show(commit, path_of(recipe, LISTING)),
    )


def _bring_branches(git: Git, origin: str, recipe: str) -> list[str]:
    """The newest commit of each run's branch, fetched where this repository lacks it.

    Nothing here names them: a branch that is deleted at the origin is forgotten here, too.
    """
    listed = git.run("ls-remote", origin, f"refs/heads/run/{recipe}/*")
    heads = dict(line.split("\t")[::-1] for line in listed.splitlines())
    answers = git.run("cat-file", "--batch-check", stdin=_lines(heads.values())).splitlines()
    missing = [ref for ref, words in zip(heads, answers, strict=True) if words.endswith("missing")]
    if missing:
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head")
        git.run("fetch", *quiet, "--stdin", origin, stdin=_lines(missing))
    return list(heads.values())


def _records(git: Git, commits: list[str]) -> Iterator[RunRecord | None]:
    """`run.json` of each commit, all read by one process; None where there is none."""
    wanted = [f"{commit}:{RUN_FILE}" for commit in commits]
    answer = git.output("cat-file", "--batch", stdin=_lines(wanted))
    for _ in commits:
        header, _, answer = answer.partition(b"\n")
        if header.endswith(b"missing"):
            yield None
            continue
        size = int(header.split()[-1])
        values: dict[str, Any] = json.loads(answer[:size])
        answer = answer[size + 1 :]
        yield RunRecord(**values | {"dirty": tuple(values["dirty"])})


def _lines(words: Iterable[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()
