"""Committing a finished stage, and copying it away: data, branch, memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxmill.pipeline.report import REPORT_FILE
from voxmill.runs.catching_up import catch_up
from voxmill.runs.git import Git, GitFailed, commit_all
from voxmill.runs.memory import merge_into_main
from voxmill.runs.opening import push_branch
from voxmill.runs.project import Project
from voxmill.runs.run import RUN_FILE, Run
from voxmill.runs.state import STATE_FILE, read_state
from voxmill.runs.storage import Storage

logger = logging.getLogger(__name__)

_TRIES = 5
_MOVED = ("non-fast-forward", "fetch first", "cannot lock ref", "failed to update ref")


def commit_stage(run: Run, stage: str, output: Path) -> str | None:
    """Commits dvc.lock, memory and state of a stage that has its result; None if that is done."""
    paths = ("dvc.lock", f"memory/{run.recipe}", STATE_FILE, RUN_FILE)
    return commit_all(Git(run.folder), paths, _message(run, stage, output))


def publish(run: Run, storage: Storage) -> None:
    """Copies what is new to the DVC remote, the branch to the origin, memory to its main branch.

    Data goes first: whoever sees a commit of the branch can pull what it names. A main branch
    that does not take the memory is warned about and tried again at the next stage.

    Raises:
        StorageFailed: The remote does not take the data.
        OriginUnreachable: The origin does not answer.
    """
    _push_data(run, storage)
    _push_branch(run, storage)
    merge = merge_into_main(Project.of_clone(run.folder), run)
    if merge.problem:
        logger.warning("%s", merge.problem)


def is_published(run: Run) -> bool:
    """Whether the origin had the branch as it is now when we pushed last."""
    git = Git(run.folder)
    known = _origin_ref(run)
    if not git.succeeds("rev-parse", "--verify", "--quiet", known):
        return False
    return git.run("rev-parse", "HEAD") == git.run("rev-parse", known)


def locked_outputs(git: Git, revision: str) -> dict[str, str]:
    """Content hash of each stage's output as dvc.lock has it at a revision, by stage name."""
    import yaml

    stages = (yaml.safe_load(git.show(revision, "dvc.lock") or b"") or {}).get("stages", {})
    return {
        name.partition("@")[0]: " ".join(str(out["md5"]) for out in stage.get("outs", ()))
        for name, stage in stages.items()
    }


def _push_data(run: Run, storage: Storage) -> None:
    """Pushes what the origin's branch does not name yet: data always went before the branch."""
    git = Git(run.folder)
    pushed = locked_outputs(git, _origin_ref(run))
    now = locked_outputs(git, "HEAD")
    new = [name for name, value in now.items() if pushed.get(name) != value]
    if new:
        storage.push(new)


def _push_branch(run: Run, storage: Storage) -> None:
    """Pushes the branch; where another host pushed meanwhile, merges with what it pushed."""
    for attempt in range(_TRIES):
        try:
            return push_branch(run)
        except GitFailed as error:
            if attempt == _TRIES - 1 or not any(word in error.stderr for word in _MOVED):
                raise
        for stage in catch_up(run):
            storage.remove_output(stage)
    return None


def _origin_ref(run: Run) -> str:
    """Where git notes what it pushed to, or got from, the origin's branch last."""
    return f"refs/remotes/origin/{run.branch}"


def _message(run: Run, stage: str, output: Path) -> str:
    record = read_state(run.folder)[stage]
    verb = "Restore" if record.outcome == "restored" else "Finish"
    report: Mapping[str, Any] = json.loads((output / REPORT_FILE).read_text("utf-8"))
    lines = [f"{verb} {stage} of {run.name}", "", f"Verdict: {report.get('verdict')}"]
    lines += [
        f"Failed check: {check['name']}: {check['value']}, limit: {check['limit']}"
        for check in report.get("checks", ())
        if not check["passed"]
    ]
    figures = report.get("figures") or {}
    lines += [f"{name}: {value}" for name, value in figures.items() if _is_plain(value)]
    return "\n".join(lines) + "\n"


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str) and len(str(value)) < 100
