"""Git's failures, told so that a person knows what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.processes import identify
from voxmill.runs.git import Git, GitFailed, OriginUnreachable, _failure, remove_stale_locks


@pytest.fixture
def git(tmp_path: Path) -> Git:
    Git(tmp_path).run("init", "--quiet")
    return Git(tmp_path)


def test_a_failure_names_command_folder_and_gits_own_words(git: Git) -> None:
    """Nothing that git said is swallowed."""
    with pytest.raises(GitFailed, match=rf"git rev-parse nothing failed in {git.folder}.*unknown"):
        git.run("rev-parse", "nothing")


@pytest.mark.parametrize(
    ("stderr", "kind", "words"),
    [
        ("fatal: write error: No space left on device", EngineMissing, "disk is full"),
        ("ssh: Could not resolve host: nowhere", OriginUnreachable, "Start again when it does"),
        ("fatal: detected dubious ownership in repository", GitFailed, "safe.directory"),
        (
            "'/x' does not appear to be a git repository\nfatal: Could not read from remote",
            GitFailed,
            "Set VOXMILL_GIT",
        ),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            GitFailed,
            "Nothing was sent",
        ),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            GitFailed,
            "does not let us in",
        ),
        (
            "fatal: unable to access 'https://h/': The requested URL returned error: 403",
            GitFailed,
            "does not let us in",
        ),
        (
            "fatal: unable to access 'https://h/': The requested URL returned error: 503",
            OriginUnreachable,
            "Start again when it does",
        ),
    ],
)
def test_known_failures_come_with_a_remedy(stderr: str, kind: type, words: str) -> None:
    """A full disk is 69, an origin that is down may be tried again, the rest is usage."""
    error = _failure(("push",), Path("/x"), stderr)
    assert isinstance(error, kind)
    assert words in str(error)
    assert error.exit_code == {EngineMissing: 69, OriginUnreachable: 1, GitFailed: 64}[kind]


def test_a_missing_folder_is_told_as_such(tmp_path: Path) -> None:
    """Not as a missing git."""
    with pytest.raises(UsageError, match="is not there"):
        Git(tmp_path / "gone").run("status")


def test_the_variables_of_a_hook_do_not_lead_git_elsewhere(
    git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was started from a hook works in its own clone all the same."""
    monkeypatch.setenv("GIT_DIR", "/somewhere/else/.git")
    monkeypatch.setenv("GIT_INDEX_FILE", "/somewhere/else/index")
    assert git.run("rev-parse", "--show-toplevel") == str(git.folder)


def test_old_locks_go_and_other_files_stay(git: Git) -> None:
    """A git that was killed leaves index.lock behind; no git of ours works for so long."""
    for name in ("index.lock", "refs/heads/main.lock"):
        lock = git.folder / ".git" / name
        lock.write_text("")
        os.utime(lock, (time.time() - 60, time.time() - 60))
    remove_stale_locks(git)
    assert list((git.folder / ".git").rglob("*.lock")) == []
    assert (git.folder / ".git" / "HEAD").exists()


def test_an_origin_behind_a_cut_cable_is_given_up_with_all_that_was_started(
    git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing comes back from there, not even a refusal; a worker must notice all the same."""
    monkeypatch.setenv("GIT_SSH_COMMAND", f"echo $$ > {tmp_path}/ssh; exec sleep 300; true")
    patient = Git(git.folder, patience_seconds=1.0)
    with pytest.raises(OriginUnreachable, match="has not answered for 1 s") as caught:
        patient.run("ls-remote", "ssh://nowhere/repository")
    assert caught.value.exit_code == 1
    started = int((tmp_path / "ssh").read_text())
    deadline = time.monotonic() + 10  # a killed process is there until it is reaped
    while (ssh := identify(started)) is not None and ssh.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ssh is None or not ssh.alive
