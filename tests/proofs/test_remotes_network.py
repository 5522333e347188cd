"""PROOF: two hosts with a network each share a run; one is cut off, and the lease decides.

Git origin and DVC remote are behind one sshd that both reach over a cable of their own. A cut
cable says nothing: packets only stop coming.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys.airflow_server import wait
from toys.cables import SERVER, Cables, cabled_hosts
from toys.ssh_server import SshServer, ssh_server
from toys.toy_project import STAGES, ToyProject, git, hashes, make_project
from voxmill.runs.execution import forget_storage
from voxmill.runs.release import release
from voxmill.runs.state import read_state

LEASE_SECONDS = 40.0
"""Long enough for slow answers of a busy machine to be answers."""
WORKER = Path(__file__).resolve().parents[1] / "toys" / "toy_worker.py"


@pytest.fixture
def cables() -> Iterator[Cables]:
    with cabled_hosts("first", "second") as cables:
        yield cables


@pytest.fixture
def server(cables, tmp_path: Path) -> Iterator[SshServer]:
    del cables  # the address has to be there first
    with ssh_server(tmp_path / "ssh", SERVER) as server:
        yield server


@pytest.fixture
def hosts(
    server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ToyProject, ToyProject]]:
    """Two checkouts with a home each; what they have in common they have over SSH."""
    ssh = f"ssh -i {server.user_key} -o IdentitiesOnly=yes -o UserKnownHostsFile="
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{ssh}{server.known_hosts}")
    monkeypatch.setenv("VOXMILL_LEASE_SECONDS", str(LEASE_SECONDS))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    shared = {
        "VOXMILL_GIT": server.url(tmp_path / "origin.git"),
        "VOXMILL_REMOTE": server.url(tmp_path / "data"),
        "VOXMILL_SSH_KEY": str(server.user_key),
        "VOXMILL_SSH_KNOWN_HOSTS": str(server.known_hosts),
    }
    first = make_project(tmp_path / "first", shared)
    git(tmp_path, "clone", "--quiet", "--bare", str(first.root), "origin.git")
    (tmp_path / "second").mkdir()
    git(tmp_path / "second", "clone", "--quiet", str(tmp_path / "origin.git"), "project")
    (tmp_path / "second" / "control").symlink_to(first.control)
    second = ToyProject(tmp_path / "second" / "project", first.control, shared)
    for key in ("user.name", "user.email"):
        git(second.root, "config", key, git(first.root, "config", key))
    yield first, second
    forget_storage()


def worker(cables: Cables, host: str, toy: ToyProject, until: str) -> subprocess.Popen[str]:
    """Stages of the run on that host, in a process with that host's network."""
    command = [sys.executable, str(WORKER), str(toy.root.parent), "one", until]
    return cables.start(host, command, toy.environ)


def ended(process: subprocess.Popen[str]) -> str:
    """What it printed last; it has to end well."""
    told, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained[-4000:]
    return told.splitlines()[-1]


def test_the_lease_decides_between_two_hosts_when_a_cable_is_cut_and_healed(
    cables, hosts, tmp_path: Path
) -> None:
    """Cut off, the first leaves and pushes nothing; the second goes on; healed, all agree."""
    first, second = hosts
    here = first.open("one")
    assert "'prepare': 'executed'" in ended(worker(cables, "first", first, "prepare"))
    there = second.open("one")
    order = first.order("train.sleep", 300)
    busy = worker(cables, "first", first, "train")
    wait(lambda: first.launches("train") or None, 60, "the training to begin")
    before = branch(tmp_path, here.branch)
    cables.cut("first")
    cut_at = time.monotonic()
    waiting = worker(cables, "second", second, "train")
    _, complained = busy.communicate(timeout=LEASE_SECONDS)
    assert "CheckpointedAndLeft" in complained
    assert time.monotonic() - cut_at < LEASE_SECONDS
    assert read_state(here.folder)["train"].outcome == "stopped"
    assert branch(tmp_path, here.branch) == before, "a host without a lease has pushed"
    order.unlink()
    taken = ended(waiting)
    assert "'train': 'executed'" in taken
    assert taken.count("'unchanged'") == STAGES.index("train")
    cables.heal("first")
    assert "'train': 'unchanged'" in ended(worker(cables, "first", first, "evaluate"))
    assert first.launches("train") == 2  # the one that was cut off, and the one that counts
    tag = release(first.project, here).tag
    third = tmp_path / "third"
    git(tmp_path, "clone", "--quiet", first.environ["VOXMILL_GIT"], str(third))
    git(third, "checkout", "--quiet", tag)
    pulled = subprocess.run(
        ["voxmill", "dvc", "pull", "--quiet"],
        cwd=third,
        env={**os.environ, **first.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert pulled.returncode == 0, pulled.stderr
    trained = hashes(there.folder / "artifacts" / "digits" / "train")
    assert hashes(third / "artifacts" / "digits" / "train") == trained


def branch(folder: Path, name: str) -> str:
    return git(folder / "origin.git", "rev-parse", name)
