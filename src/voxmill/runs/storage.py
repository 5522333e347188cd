"""DVC for one run's clone: what is up to date, what can be fetched, what is kept.

DVC is called in this process: starting it as a command costs half a second each time. What it
raises is translated here into the errors of voxmill.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any, Literal

from voxmill.errors import UsageError
from voxmill.runs.disk import disk_full, is_disk_full, is_nearly_full
from voxmill.runs.remote_access import REMOTE_NAME, RemoteAccess
from voxmill.runs.remote_failures import StorageFailed, told
from voxmill.runs.remote_reach import reaching

Settled = Literal["unchanged", "restored"]
_LOCK_TRIES = 8
_turn = threading.RLock()


class Storage:
    """The DVC side of a run's clone.

    Args:
        folder: The clone.
        recipe: The only recipe in its dvc.yaml.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        with translated(folder), _inside(folder):
            from dvc.repo import Repo

            # It warns of each empty memory file, several times a stage.
            logging.getLogger("dvc").setLevel(logging.ERROR)
            self._repo = Repo(str(folder))
        self.folder = folder
        self.recipe = recipe
        self.remote = str(self._repo.config["remote"].get(REMOTE_NAME, {}).get("url", ""))
        self._access = RemoteAccess.from_environ(os.environ).over(RemoteAccess.of_clone(folder))

    def close(self) -> None:
        """Gives DVC's databases back."""
        self._repo.close()

    def pull_inputs(self, stage: str) -> None:
        """Brings back the outputs of earlier stages that this one reads and that are missing.

        Raises:
            StorageFailed: One is in neither cache nor remote.
        """
        with self._locked():
            self._pull_missing(self._repo.index.graph.successors(self._node(stage)))

    def settle(self, stage: str, *, restore: bool = True) -> Settled | None:
        """Brings the stage's result here without running it, where that can be.

        Args:
            stage: Name of the stage.
            restore: Whether a result of another run will do; else only this run's dvc.lock counts.

        Returns:
            `unchanged`: dvc.lock has the result for the present inputs and settings (files that
            are missing here come back with `pull`); `restored`: an earlier run had the same
            inputs and settings; None: the stage has to run, and its inputs are here.

        Raises:
            StorageFailed: An input is in neither cache nor remote.
        """
        with self._locked():
            node = self._node(stage)
            before = list(self._repo.index.graph.successors(node))
            if not node.changed(allow_missing=True, upstream=before):
                return "unchanged"
            self._pull_missing(before)
            if restore and self._restore(node):
                return "restored"
            return None

    def outdated(self) -> list[str]:
        """Stages whose result in dvc.lock is missing or made from other inputs or settings."""
        with self._locked():
            graph = self._repo.index.graph
            return [
                node.name.partition("@")[0]
                for node in graph.nodes
                if node.changed(allow_missing=True, upstream=list(graph.successors(node)))
            ]

    def pull(self, stage: str) -> None:
        """Brings back the stage's output where it is missing.

        Raises:
            StorageFailed: Neither cache nor remote has it.
        """
        with self._locked():
            self._pull_missing([self._node(stage)])

    def pull_paths(self, paths: Sequence[str]) -> None:
        """Brings back single files and folders of outputs, and nothing else of those.

        Raises:
            StorageFailed: One is in neither cache nor remote.
        """
        with self._locked(), _causes_heard():
            self._repo.pull(targets=list(paths))

    def remove_output(self, stage: str) -> None:
        """Removes the stage's output from the checkout; the cache keeps what was committed."""
        with self._locked():
            self._node(stage).remove_outs()

    def fingerprint(self, stage: str) -> dict[str, Any]:
        """What the stage's result depends on now, memory aside: command, settings, input hashes.

        Memory grows when a stage finishes, so it cannot tell whether a result is still wanted.
        """
        from dvc.stage.serialize import to_single_stage_lockfile

        with self._locked():
            node = self._node(stage)
            node.save_deps(allow_missing=True)
            entry = to_single_stage_lockfile(node)
        deps = [dict(dep) for dep in entry["deps"] if not dep["path"].startswith("memory/")]
        values = {"cmd": entry["cmd"], "params": entry.get("params", {}), "deps": deps}
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]  # plain, comparable

    def commit(self, stage: str) -> None:
        """Takes the stage's output into the cache, dvc.lock and the run-cache."""
        with self._locked():
            self._keep(self._node(stage))

    def push(self, stages: Sequence[str]) -> None:
        """Copies the outputs of these stages, and their run-cache entries, to the remote.

        Raises:
            StorageFailed: The remote does not take them all.
        """
        from voxmill.runs.run_cache import push_entry

        with self._locked(), _causes_heard():
            self._repo.push(targets=[f"{stage}@{self.recipe}" for stage in stages])
            for stage in stages:
                push_entry(self._repo, self._node(stage))

    def _pull_missing(self, nodes: Iterable[Any]) -> None:
        missing = [node.addressing for node in nodes if not all(out.exists for out in node.outs)]
        if missing:
            with _causes_heard():
                self._repo.pull(targets=missing)

    def _restore(self, node: Any) -> bool:
        from dvc.stage.cache import RunCacheNotFoundError

        from voxmill.runs.run_cache import alone, fetch_entry

        entries = self._repo.stage_cache
        node.save_deps()
        with alone(self._repo, node):
            try:
                entries.restore(node, dry=True)
                elsewhere = False
            except RunCacheNotFoundError:
                elsewhere = fetch_entry(self._repo, node)
                if not elsewhere:
                    return False
            try:
                node.remove_outs()
                entries.restore(node, pull=elsewhere)
            except RunCacheNotFoundError:  # the remote has the entry, but not all of its files
                return False
        self._keep(node)
        return True

    def _keep(self, node: Any) -> None:
        from voxmill.runs.run_cache import alone

        node.save(run_cache=False)
        node.commit()  # first: an entry whose files are not in the cache yet is of no use
        with alone(self._repo, node):
            self._repo.stage_cache.save(node)
        node.dump(update_pipeline=False)

    def _node(self, stage: str) -> Any:
        name = f"{stage}@{self.recipe}"
        for node in self._repo.index.graph.nodes:
            if node.addressing == name:
                return node
        there = ", ".join(sorted(node.name.partition("@")[0] for node in self._repo.index.graph))
        raise UsageError(
            f"Stage {stage!r} of recipe {self.recipe!r} is not in {self.folder / 'dvc.yaml'}. "
            f"Stages there: {there}."
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """DVC's lock of this clone; a person's own `dvc` command may hold it for a moment."""
        from dvc.lock import LockError
        from dvc.repo import lock_repo

        with (
            translated(self.folder, self.remote),
            _inside(self.folder),
            reaching(self.remote, self._access),
            ExitStack() as stack,
        ):
            for attempt in range(_LOCK_TRIES):
                try:
                    stack.enter_context(lock_repo(self._repo))
                    break
                except LockError:
                    if attempt == _LOCK_TRIES - 1:
                        raise
                    time.sleep(0.25 * 2**attempt)
            yield


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Makes the folder the current one; DVC names stages and targets as seen from there.

    The current folder belongs to the whole process, so threads take turns.
    """
    with _turn, chdir(folder):
        yield


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.causes: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.causes.append(record.exc_info[1])


@contextmanager
def _causes_heard() -> Iterator[None]:
    """Gives the exception of a failed transfer its cause.

    DVC logs why each file failed, with a traceback, and then raises how many did.
    """
    from dvc.exceptions import DvcException

    logger, ear = logging.getLogger("dvc_data"), _Ear()
    logger.addHandler(ear)
    aloud, logger.propagate = logger.propagate, False
    try:
        yield
    except DvcException as error:
        full = [cause for cause in ear.causes if is_disk_full(cause)]
        first = next(iter(full or ear.causes), None)
        raise (error if first is None else DvcException(f"{error} ({first})")) from first
    finally:
        logger.removeHandler(ear)
        logger.propagate = aloud


@contextmanager
def translated(folder: Path, remote: str = "") -> Iterator[None]:
    """Turns DVC's exceptions, those of its remotes and a full disk into voxmill's errors.

    Raises:
        EngineMissing: The disk is full.
        RemoteRefused: Host key, login, bucket or address of the remote is wrong.
        StorageFailed: Anything else that DVC could not do.
    """
    from dvc.exceptions import DvcException

    try:
        yield
    except Exception as error:
        if is_disk_full(error) or (isinstance(error, sqlite3.Error) and is_nearly_full(folder)):
            raise disk_full(folder, str(error)) from error
        failure = told(error, remote) if "://" in remote else None
        if failure is not None:
            raise failure from error
        if not isinstance(error, DvcException | sqlite3.Error):
            raise
        raise StorageFailed(
            f"DVC in {folder}: {error}. What is committed is safe; start again, or look with "
            f"`dvc status` in that folder."
        ) from error
