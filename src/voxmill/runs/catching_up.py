"""A run's branch that went on elsewhere: taken over here, or merged stage by stage.

`dvc.lock` conflicts as text even where two hosts finished different stages, because its entries
stand one below the other; so do `stages.json` and memory. What each of them says is merged here
by its meaning instead.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from voxmill.errors import UsageError
from voxmill.runs.git import Git, commit_files
from voxmill.runs.memory import FILES, LISTING, path_of, union
from voxmill.runs.run import Run
from voxmill.runs.state import STATE_FILE

logger = logging.getLogger(__name__)

LOCK_FILE = "dvc.lock"


def catch_up(run: Run) -> tuple[str, ...]:
    """Brings the clone to what the origin's branch has, keeping what only this clone has.

    Call it while holding the run, with nothing but `stages.json` uncommitted.

    Returns:
        Stages whose locked output changed by it: what lies here under their names is outdated.

    Raises:
        UsageError: The origin's branch has no history in common with the clone's.
        OriginUnreachable: The origin does not answer.
    """
    git = Git(run.folder)
    theirs = git.run("ls-remote", "origin", f"refs/heads/{run.branch}").partition("\t")[0]
    mine = git.run("rev-parse", "HEAD")
    if theirs in {"", mine}:
        return ()
    if git.succeeds("merge-base", "--is-ancestor", theirs, mine):
        return ()
    kept = f"refs/remotes/origin/{run.branch}"
    git.run("fetch", "--quiet", "--no-tags", "origin", f"+refs/heads/{run.branch}:{kept}")
    before = _locked(git, mine)
    if git.succeeds("merge-base", "--is-ancestor", mine, theirs):
        target = theirs
    else:
        target = _merged(git, run, mine, theirs)
    # Uncommitted are only this host's own notes on a try, which the result elsewhere outdates.
    git.run("reset", "--quiet", "--hard", target)
    after = _locked(git, target)
    changed = tuple(name for name, entry in after.items() if before.get(name) != entry)
    logger.info("Run %s went on elsewhere: %s", run.name, ", ".join(changed) or "no new stage")
    return tuple(name.partition("@")[0] for name in changed)


def merge_entries(
    base: Mapping[str, Any], mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    """Entries by name, each from the side that changed it; where both did, from the origin's."""
    names = list(dict.fromkeys([*theirs, *mine]))
    merged = {}
    for name in names:
        changed_there = theirs.get(name) != base.get(name)
        entry = theirs.get(name) if changed_there else mine.get(name)
        if entry is not None:
            merged[name] = entry
    return merged


def _merged(git: Git, run: Run, mine: str, theirs: str) -> str:
    if not git.succeeds("merge-base", mine, theirs):
        raise UsageError(_replaced(run, mine, theirs))
    base = git.run("merge-base", mine, theirs)
    files: dict[str, bytes] = {}
    for path, merge in _mergers(run).items():
        sides = [git.show(revision, path) or b"" for revision in (base, mine, theirs)]
        if sides[1] != sides[2]:
            files[path] = merge(*sides)
    return commit_files(git, (theirs, mine), files, f"Merge what two hosts made of {run.name}")


Merge = Callable[[bytes, bytes, bytes], bytes]


def _replaced(run: Run, mine: str, theirs: str) -> str:
    return (
        f"Branch {run.branch} on the origin is at {theirs[:10]}, which has no commit in common "
        f"with this clone's {mine[:10]}: somebody has put another one in its place. Nothing here "
        f"was changed. To go on with what is here: git -C {run.folder} push --force-with-lease="
        f"{run.branch}:{theirs} origin HEAD:{run.branch}. To go on with the origin's: move "
        f"{run.folder} away and start again."
    )


def _mergers(run: Run) -> dict[str, Merge]:
    """How each file is merged that stages write, by path."""
    lines = {path_of(run.recipe, name): _merge_lines for name in FILES if name != LISTING}
    return {LOCK_FILE: _merge_lock, STATE_FILE: _merge_state, **lines}


def _merge_lock(*sides: bytes) -> bytes:
    documents = [yaml.safe_load(side) or {} for side in sides]
    stages = merge_entries(*(document.get("stages", {}) for document in documents))
    text: str = yaml.safe_dump({**documents[2], "stages": stages}, sort_keys=False)
    return text.encode()


def _merge_state(*sides: bytes) -> bytes:
    merged = merge_entries(*(json.loads(side or b"{}") for side in sides))
    return (json.dumps(merged, indent=2) + "\n").encode()


def _merge_lines(_base: bytes, mine: bytes, theirs: bytes) -> bytes:
    return union(theirs, mine)


def _locked(git: Git, revision: str) -> dict[str, Any]:
    stages: dict[str, Any] = (yaml.safe_load(git.show(revision, LOCK_FILE) or b"") or {}).get(
        "stages", {}
    )
    return stages
