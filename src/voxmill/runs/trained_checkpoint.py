"""The best checkpoint of a release or a run, and its tokenizer, out of git, DVC's cache and remote.

Only these few files are brought, whatever else the run made; each is held to the hash that the
stage's own report has of it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from voxmill.base_reference import ReleaseReference, RunReference
from voxmill.errors import DataError, UsageError
from voxmill.pipeline.report import REPORT_FILE, StageReport, read_report
from voxmill.runs.clone_settings import write_clone_settings
from voxmill.runs.git import Git
from voxmill.runs.project import Project
from voxmill.runs.registry import Registry, open_registry
from voxmill.runs.remote_access import write_local
from voxmill.runs.remote_failures import RemoteRefused, StorageFailed
from voxmill.runs.storage import Storage

Trained = ReleaseReference | RunReference

_PARTS = {"checkpoint": ("train", "best"), "tokenizer": ("prepare", "tokenizer")}
"""What is brought, under which name: the stage, and the folder in its output."""
UNFINISHED = ".bringing-"
"""How folders begin that are still being filled."""
_SHOWN = 5


def find_commit(project: Project, origin: Trained) -> str:
    """The commit whose training is meant.

    Raises:
        UsageError: There is no such release or run, or it has not been trained; those that there
            are stand in the message.
        OriginUnreachable: The git origin does not answer.
    """
    with open_registry(project) as registry:
        if isinstance(origin, ReleaseReference):
            commit = _release(registry, origin)
        else:
            commit = _run(registry, origin)
        _refuse_untrained(registry.git, origin, commit)
    return commit


def bring_checkpoint(project: Project, origin: Trained, target: Path) -> None:
    """Fills a folder with `checkpoint/` and `tokenizer/`; it is there as a whole or not at all.

    Raises:
        UsageError: There is no such release or run, or neither cache nor remote has its files.
        DataError: What came has another hash than when it was made.
        StorageFailed: The DVC remote does not answer.
        OriginUnreachable: The git origin does not answer.
    """
    commit = find_commit(project, origin)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _clone(project, commit, beside=target) as site:
        storage = Storage(site, origin.recipe)
        try:
            found = _pull(storage, origin)
        finally:
            storage.close()
        partial = site / "partial"
        partial.mkdir()
        for name, folder in found.items():
            folder.rename(partial / name)
        partial.rename(target)


def _release(registry: Registry, origin: ReleaseReference) -> str:
    registry.refresh()
    known = registry.versions(origin.recipe)
    for each in known:
        if each.name == origin.version:
            return each.commit
    there = ", ".join(each.name for each in known)
    others = sorted({tag for tag in registry.tags() if "@" in tag})
    raise UsageError(
        f"base.init_from: recipe {origin.recipe!r} has no release {origin.version}. Releases of "
        f"it: {there or 'none'}; of all recipes: {_last(others)}."
    )


def _run(registry: Registry, origin: RunReference) -> str:
    branch = f"run/{origin.recipe}/{origin.id}"
    listed = registry.git.run("ls-remote", registry.project.origin, "refs/heads/run/*")
    runs = [line.partition("refs/heads/run/")[2] for line in listed.splitlines()]
    if f"{origin.recipe}/{origin.id}" not in runs:
        same = [run for run in runs if run.startswith(f"{origin.recipe}/")]
        raise UsageError(
            f"base.init_from: there is no run {origin.recipe}/{origin.id} on "
            f"{registry.project.origin}. Runs of {origin.recipe}: {_last(same)}; of all recipes: "
            f"{_last(runs)}."
        )
    registry.refresh(branch)
    return registry.git.run("rev-parse", f"refs/heads/{branch}")


def _refuse_untrained(git: Git, origin: Trained, commit: str) -> None:
    lock: Any = yaml.safe_load(git.show(commit, "dvc.lock") or b"") or {}
    done = {str(name) for name in lock.get("stages", {})}
    missing = [s for s, _ in _PARTS.values() if f"{s}@{origin.recipe}" not in done]
    if missing:
        raise UsageError(
            f"base.init_from: {origin} has no result of {' and '.join(sorted(missing))} yet, so "
            "there is no checkpoint to start from. Finish that run, or name another one."
        )


@contextmanager
def _clone(project: Project, commit: str, *, beside: Path) -> Iterator[Path]:
    """A clone of one commit, with the project's cache and the remote that the commit names."""
    from dvc.config import Config

    site = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=beside.parent))
    try:
        mirror = project.cache / "registry.git"
        Git(site.parent).run(
            "clone", "--quiet", "--shared", "--no-checkout", str(mirror), str(site)
        )
        Git(site).run("checkout", "--quiet", "--detach", commit)
        write_clone_settings(project, site)
        write_local(site, project.access)
        with Config(str(site / ".dvc")).edit("local") as config:
            config["core"]["site_cache_dir"] = str(site / "dvc-site")
        yield site
    finally:
        shutil.rmtree(site, ignore_errors=True)


def _pull(storage: Storage, origin: Trained) -> dict[str, Path]:
    """Brings reports, then what they say there is; gives the verified folders by name."""
    artifacts = Path("artifacts") / origin.recipe
    try:
        storage.pull_paths([f"{artifacts / stage / REPORT_FILE}" for stage, _ in _PARTS.values()])
        reports = {s: read_report(storage.folder / artifacts / s) for s, _ in _PARTS.values()}
        wanted = {
            name: artifacts / stage / inner
            for name, (stage, inner) in _PARTS.items()
            if any(path.startswith(f"{inner}/") for path in reports[stage].outputs)
        }
        if "checkpoint" not in wanted:
            raise UsageError(
                f"base.init_from: train of {origin} left no best/, so there is no checkpoint to "
                "start from. Name another release or run."
            )
        storage.pull_paths([str(path) for path in wanted.values()])
    except RemoteRefused:
        raise
    except StorageFailed as error:
        if "://" in storage.remote:
            raise
        raise UsageError(
            f"base.init_from: the files of {origin} are neither in this machine's cache nor in its "
            f"DVC remote {storage.remote or '(none)'}. {error} Push them from where they are, or "
            "name another release or run."
        ) from error
    for stage, inner in (_PARTS[name] for name in wanted):
        _verify(origin, storage.folder / artifacts / stage, inner, reports[stage])
    return {name: storage.folder / path for name, path in wanted.items()}


def _verify(origin: Trained, output: Path, inner: str, report: StageReport) -> None:
    for path, file in report.outputs.items():
        if not path.startswith(f"{inner}/"):
            continue
        found = _sha256(output / path) if (output / path).is_file() else "no such file"
        if found != file.sha256:
            raise DataError(
                f"base.init_from: {path} of {origin} is damaged: expected sha256 {file.sha256}, "
                f"found {found}. It came from DVC's cache, or from the remote: move the cache away "
                "(VOXMILL_HOME/cache/dvc), and what is whole on the remote comes back."
            )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _last(names: list[str]) -> str:
    more = f"{len(names) - _SHOWN} more, " if len(names) > _SHOWN else ""
    return more + (", ".join(names[-_SHOWN:]) or "none")
