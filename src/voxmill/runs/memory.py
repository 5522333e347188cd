"""What a recipe remembers from run to run: files that only grow, merged line by line.

A run carries its own copy of `memory/<recipe>/` in its branch. When a stage finishes, the lines
that it added are merged into the origin's main branch without a checkout: a tree is built in a
temporary index and committed on top of what the origin has now. Two runs that finish at once
push one after the other; the second merges again on top of the first.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from voxmill.errors import VoxmillError
from voxmill.runs.git import Git, GitFailed, commit_files
from voxmill.runs.project import Project
from voxmill.runs.run import Run, RunRecord

logger = logging.getLogger(__name__)

LISTING = "source.json"
LINES = ("splits.jsonl", "verdicts.jsonl", "tombstones.jsonl", "waivers.jsonl")
FILES = (LISTING, *LINES)
_TRIES = 12


@dataclass(frozen=True)
class MemoryMerge:
    """How a merge into the main branch went."""

    commit: str | None = None
    """The new commit of the main branch; None where nothing had to change or could."""
    problem: str = ""
    """Why memory stayed in the run's branch, and what to do; empty where all went well."""


def union(first: bytes, second: bytes) -> bytes:
    """The first's lines, then those of the second that the first lacks; each ends with a newline.

    The order matters: where the first only lags behind, the union equals the second byte for
    byte, so that a stage which depends on it is not run again.
    """
    lines = [line for line in first.splitlines() if line.strip()]
    known = set(lines)
    for line in second.splitlines():
        if line.strip() and line not in known:
            known.add(line)
            lines.append(line)
    return b"".join(line + b"\n" for line in lines)


def path_of(recipe: str, name: str) -> str:
    """Path of a memory file from the project's root."""
    return f"memory/{recipe}/{name}"


def merge_into_main(project: Project, run: Run) -> MemoryMerge:
    """Merges the run's committed memory into the origin's main branch; never loses a line.

    A main branch that refuses (uncommitted memory files in a checkout, a protected branch) does
    not stop the run: its memory stays in its branch and the next finished stage tries again.

    Raises:
        OriginUnreachable: The origin does not answer.
        EngineMissing: The disk is full.
    """
    git = Git(run.folder)
    problem = ""
    for attempt in range(_TRIES):
        time.sleep(min(0.05 * attempt, 1.0))
        try:
            commit = _merged_commit(git, project.main_branch, run)
            if commit is None:
                return MemoryMerge()
            _push_to_main(git, project, commit, run.name)
        except GitFailed as error:
            problem = error.stderr.strip()
            if not _passes_by_itself(problem):
                break
        else:
            return MemoryMerge(commit=commit)
    return MemoryMerge(problem=_explanation(project, run, problem))


def append_to_main(project: Project, recipe: str, name: str, contents: bytes, why: str) -> bool:
    """Brings contents into a memory file of the main branch, without any run; False if no change.

    Args:
        project: The project.
        recipe: Whose memory.
        name: File of `FILES`; a listing is replaced, lines are united.
        contents: The new listing, or lines.
        why: Subject of the commit.

    Raises:
        VoxmillError: The main branch refuses; the message says why and what to do.
    """
    git = Git(project.root)
    problem = ""
    for attempt in range(_TRIES):
        time.sleep(min(0.05 * attempt, 1.0))
        try:
            head = _fetch(git, project.origin, project.main_branch)
            old = git.show(head, path_of(recipe, name)) or b""
            new = contents if name == LISTING else union(old, contents)
            if new == old:
                return False
            commit = commit_files(git, (head,), {path_of(recipe, name): new}, why)
            _push_to_main(git, project, commit, f"{recipe}-{name}")
        except GitFailed as error:
            problem = error.stderr.strip()
            if not _passes_by_itself(problem):
                break
        else:
            return True
    raise VoxmillError(
        f"Memory {path_of(recipe, name)}: the main branch {project.main_branch!r} of "
        f"{project.origin} does not take it: {problem}. {_REMEDY}"
    )


_REMEDY = "Commit or undo changes of memory files there, and start again."


def read_main(project: Project, recipe: str, name: str) -> bytes | None:
    """A memory file as the origin's main branch has it now; None where it is not there."""
    git = Git(project.root)
    head = _fetch(git, project.origin, project.main_branch)
    return git.show(head, path_of(recipe, name))


def _merged_commit(git: Git, branch: str, run: Run) -> str | None:
    head = _fetch(git, "origin", branch)
    base = git.run("merge-base", head, "HEAD")
    changed: dict[str, bytes] = {}
    for name in FILES if lists_what_main_lists(RunRecord.read(run.folder)) else LINES:
        path = path_of(run.recipe, name)
        ours, theirs = git.show("HEAD", path), git.show(head, path)
        if ours is None or ours == theirs:
            continue
        merged = union(theirs or b"", ours)
        if name == LISTING:  # whoever changed it in main since we began knows better
            merged = ours if theirs == git.show(base, path) else theirs or ours
        if merged != (theirs or b""):
            changed[path] = merged
    if not changed:
        return None
    return commit_files(git, (head,), changed, f"Remember what {run.name} learned")


def lists_what_main_lists(record: RunRecord) -> bool:
    """Whether a run's listing is of the source that the committed recipe names.

    A trial with another source would make `sync` find new data in main where there is none.
    """
    elsewhere = any(key.partition(".")[0] == "source" for key in record.overrides)
    return not elsewhere and f"recipes/{record.recipe}.yaml" not in record.dirty


def _fetch(git: Git, origin: str, branch: str) -> str:
    """The newest commit of the origin's branch, brought here.

    No ref of ours is moved by it: runs that are opened at the same moment would fight for it.
    """
    ref = f"refs/heads/{branch}"
    head = git.run("ls-remote", origin, ref).partition("\t")[0]
    if not head or not git.succeeds("cat-file", "-e", f"{head}^{{commit}}"):
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
        git.run("fetch", *options, origin, ref)
    return head


def _push_to_main(git: Git, project: Project, commit: str, name: str) -> None:
    checkout = project.local_origin
    if checkout is None or _head(checkout) != project.main_branch:
        git.run("push", "--quiet", project.origin, f"{commit}:refs/heads/{project.main_branch}")
        return
    # Git refuses a push to a branch that is checked out: its files would stay behind. There, a
    # fast forward moves branch and files together, and leaves other uncommitted files alone.
    there = Git(checkout)
    parked = f"refs/voxmill/memory/{name}"
    git.run("push", "--quiet", "--force", project.origin, f"{commit}:{parked}")
    try:
        there.run("merge", "--quiet", "--ff-only", commit)
    finally:
        there.run("update-ref", "-d", parked)


def _head(checkout: Path) -> str:
    git = Git(checkout)
    if not git.succeeds("symbolic-ref", "--quiet", "HEAD"):
        return ""
    return git.run("symbolic-ref", "--short", "HEAD")


def _passes_by_itself(problem: str) -> bool:
    """Whether somebody else was just writing: then the next try has a new commit to build on."""
    words = (
        "non-fast-forward",
        "fetch first",
        "Not possible to fast-forward",
        "cannot lock ref",
        "index.lock",
        "failed to update ref",
        "stale info",
    )
    return any(word in problem for word in words)


def _explanation(project: Project, run: Run, problem: str) -> str:
    return (
        f"Memory of {run.name} could not be merged into {project.main_branch!r} of "
        f"{project.origin}: {problem}. Nothing is lost: it is in branch {run.branch}, and the "
        f"next finished stage tries again. {_REMEDY}"
    )
