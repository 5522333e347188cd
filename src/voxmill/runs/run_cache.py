"""DVC's run-cache, one entry at a time.

`dvc push --run-cache` and `dvc pull --run-cache` copy the entries of every run there ever was.
Over SSH that costs a round trip for each, so here only the entry of the stage at hand travels.
Runs share the cache, and DVC reads an entry's folder while another process makes it: it fails on
a folder that is still empty and takes a half-written file for a broken one. So whoever reads or
writes a stage's entries does it alone.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def alone(repo: Any, node: Any) -> Iterator[None]:
    """Holds this stage's entries in the local run-cache; entering twice would wait for ever.

    Args:
        repo: DVC's repository.
        node: The stage, with its inputs hashed.
    """
    key = _key(node)
    if key is None:
        yield
        return
    locks = Path(repo.cache.legacy.path) / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / key).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(OSError):  # not there, or with entries; empty: its writer was killed
            _local(repo, key).rmdir()
        yield


def push_entry(repo: Any, node: Any) -> None:
    """Copies the stage's entries to the remote, where they are not there yet.

    Args:
        repo: DVC's repository.
        node: The stage, with its hashes as dvc.lock has them.
    """
    key = _key(node)
    if key is None:
        return
    odb, there = _remote(repo, key)
    here = _local(repo, key)
    if not here.is_dir():
        return
    for entry in here.iterdir():
        target = odb.fs.join(there, entry.name)
        if not odb.fs.exists(target):
            odb.fs.makedirs(there, exist_ok=True)
            half = f"{target}.half"
            odb.fs.put_file(str(entry), half)
            odb.fs.move(half, target)


def fetch_entry(repo: Any, node: Any) -> bool:
    """Copies the stage's entries from the remote; whether one is here now with all it names.

    Args:
        repo: DVC's repository.
        node: The stage, with its inputs hashed.
    """
    key = _key(node)
    if key is None:
        return False
    odb, there = _remote(repo, key)
    here = _local(repo, key)
    if odb.fs.exists(there):
        here.mkdir(parents=True, exist_ok=True)
        for path in odb.fs.find(there):
            name = odb.fs.name(path)
            if not name.endswith(".half") and not (here / name).exists():
                half = here.parent / f"{name}.half"
                odb.fs.get_file(path, str(half))
                half.rename(here / name)
    return here.is_dir() and _has_outputs(repo, node)


def _has_outputs(repo: Any, node: Any) -> bool:
    # DVC asks on the terminal what to do about a listing that is nowhere, so look first.
    entry = repo.stage_cache._load(node)  # noqa: SLF001  # DVC has no public way to one entry
    if entry is None:
        return False
    remote, local = repo.cloud.get_remote_odb(None, "pull"), repo.cache.local
    return all(local.exists(out["md5"]) or remote.exists(out["md5"]) for out in entry["outs"])


def _key(node: Any) -> str | None:
    from dvc.stage import cache

    if not cache._can_hash(node):  # noqa: SLF001
        return None
    return str(cache._get_stage_hash(node))  # noqa: SLF001


def _local(repo: Any, key: str) -> Path:
    return Path(repo.stage_cache.cache_dir) / key[:2] / key


def _remote(repo: Any, key: str) -> tuple[Any, str]:
    odb = repo.cloud.get_remote_odb(None, "run-cache", hash_name="md5-dos2unix")
    return odb, odb.fs.join(odb.path, "runs", key[:2], key)
