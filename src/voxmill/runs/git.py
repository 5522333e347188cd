"""Git as a subprocess; the only file that starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from voxmill.errors import EngineMissing, UsageError, VoxmillError

# Settings that would make a worker wait for a person, or do work that nobody asked for.
_SETTINGS = ("commit.gpgsign=false", "tag.gpgsign=false", "gc.auto=0", "advice.detachedHead=false")
# A hook, or a git command that started us, points these at its own repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
_STALE_LOCK_SECONDS = 10.0  # no git command of ours holds a lock for longer
_TALKS = frozenset({"clone", "fetch", "ls-remote", "push"})
_NOT_LET_IN = (
    "Permission denied (",
    "Authentication failed",
    "could not read Username",
    "error: 403",
)
_NEVER = ("does not appear", "Host key verification failed", *_NOT_LET_IN)
"""What no later try changes, although git says in the same breath that it could not read."""
PATIENCE_SECONDS = 900.0
"""How long an origin may take to answer: a cut cable says nothing at all."""


class GitFailed(UsageError):
    """A git command ended with a failure.

    Attributes:
        command: What was run, without the word git.
        stderr: What git said.
    """

    def __init__(self, command: Sequence[str], folder: Path, stderr: str) -> None:
        self.command = tuple(command)
        self.stderr = stderr
        remedy = _remedy(stderr, folder)
        super().__init__(
            f"git {' '.join(command)} failed in {folder}: {stderr.strip() or 'it said nothing'}."
            f"{' ' + remedy if remedy else ''}"
        )


class OriginUnreachable(VoxmillError):
    """The git origin does not answer; later it may."""


@dataclass(frozen=True)
class Git:
    """Runs git in one folder."""

    folder: Path
    patience_seconds: float = PATIENCE_SECONDS
    """Most that a command may take that talks to the origin."""

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """What the command prints, without the last line end.

        Args:
            *arguments: Command and its arguments, such as `"rev-parse", "HEAD"`.
            stdin: Bytes to feed to the command.
            environ: Variables to set over the present ones.

        Raises:
            GitFailed: The command failed.
            OriginUnreachable: The origin does not answer.
            EngineMissing: There is no git, or the disk is full.
        """
        return self.output(*arguments, stdin=stdin, environ=environ).decode().rstrip("\n")

    def output(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> bytes:
        """What the command prints, byte for byte; raises as `run` does."""
        done = self._start(arguments, stdin, environ)
        if done.returncode != 0:
            raise _failure(arguments, self.folder, done.stderr.decode(errors="replace"))
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether the command ends with 0; for questions such as `merge-base --is-ancestor`."""
        return self._start(arguments, None, None).returncode == 0

    def show(self, revision: str, path: str) -> bytes | None:
        """Contents of a file at a revision; None where it is not there."""
        done = self._start(("cat-file", "blob", f"{revision}:{path}"), None, None)
        return done.stdout if done.returncode == 0 else None

    def _start(
        self, arguments: Sequence[str], stdin: bytes | None, environ: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            process = subprocess.Popen(
                ["git", *settings, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment() | dict(environ or {}),
                start_new_session=True,  # Ctrl-C is for the worker, which ends in good order
            )
        except FileNotFoundError as error:
            if not self.folder.is_dir():
                raise UsageError(f"Folder {self.folder} is not there.") from error
            raise EngineMissing("git is not installed; install it and start again.") from error
        limit = self.patience_seconds if arguments[0] in _TALKS else None
        try:
            said, complained = process.communicate(stdin, timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise OriginUnreachable(
                f"The git origin has not answered for {limit:.0f} s (git {arguments[0]} in "
                f"{self.folder}). Start again when it does; the work so far is committed here."
            ) from error
        finally:
            if process.returncode is None:
                _end(process)
        return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def commit_all(git: Git, paths: Sequence[str], message: str) -> str | None:
    """Commits these paths, as far as they exist or are tracked; gives the commit, None if clean."""
    present = [path for path in paths if (git.folder / path).exists()]
    if present:
        git.run("add", "--", *present)
    if git.succeeds("diff", "--cached", "--quiet"):
        return None
    git.run("commit", "--quiet", "--no-verify", "--file=-", stdin=message.encode())
    return git.run("rev-parse", "HEAD")


def commit_files(git: Git, parents: Sequence[str], files: Mapping[str, bytes], subject: str) -> str:
    """A commit with the first parent's tree and these files over it, made without a checkout.

    Args:
        git: The repository; no branch, index or file of its work tree is touched.
        parents: Commits, the one whose tree counts first.
        files: Contents by path from the root.
        subject: What the commit says.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("read-tree", parents[0], environ=index)
        for path, contents in files.items():
            blob = git.run("hash-object", "-w", "--stdin", stdin=contents)
            entry = f"100644,{blob},{path}"
            git.run("update-index", "--add", "--cacheinfo", entry, environ=index)
        tree = git.run("write-tree", environ=index)
    options = [part for parent in parents for part in ("-p", parent)]
    return git.run("commit-tree", tree, *options, stdin=f"{subject}\n".encode())


def remove_stale_locks(git: Git) -> None:
    """Removes lock files that a killed git left; only for who holds the run's worker lock.

    A child of the killed worker may still be at work for a moment, so a young lock is waited for.
    """
    folder = git.folder / ".git"
    for lock in [*folder.glob("*.lock"), *folder.glob("refs/**/*.lock")]:
        while lock.exists():
            try:
                age_seconds = time.time() - lock.stat().st_mtime
            except FileNotFoundError:
                break
            if age_seconds > _STALE_LOCK_SECONDS:
                lock.unlink(missing_ok=True)
            else:
                time.sleep(0.2)


@cache
def _identity() -> Mapping[str, str]:
    """A name for commits where the machine has none, as in most containers."""
    asked = subprocess.run(
        ["git", "config", "user.email"], capture_output=True, check=False, cwd="/"
    )
    if (asked.returncode == 0 and asked.stdout.strip()) or "GIT_AUTHOR_EMAIL" in os.environ:
        return {}
    who = ("NAME", "voxmill"), ("EMAIL", "voxmill@localhost")
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who}


def _environment() -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"} | dict(_identity())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a git command with the ssh that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _failure(command: Sequence[str], folder: Path, stderr: str) -> VoxmillError:
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        return EngineMissing(
            f"The disk is full: git {command[0]} could not write in {folder}. Free some space and "
            f"start again; what was committed is safe."
        )
    unreachable = ("Could not read from remote", "Could not resolve host", "unable to access")
    if any(words in stderr for words in unreachable) and not any(it in stderr for it in _NEVER):
        return OriginUnreachable(
            f"The git origin does not answer (git {command[0]} in {folder}): {stderr.strip()}. "
            f"Start again when it does; the work so far is committed here."
        )
    return GitFailed(command, folder, stderr)


def _remedy(stderr: str, folder: Path) -> str:
    if "dubious ownership" in stderr:
        return f"Tell git that you trust it: git config --global --add safe.directory {folder}"
    if "does not appear to be a git repository" in stderr:
        return "Set VOXMILL_GIT to a folder or URL that is a git repository."
    if "Host key verification failed" in stderr:
        return (
            "The git origin's host key is not the known one. If you know why it changed, put the "
            "new one into the known hosts (compare fingerprints with `ssh-keygen -l` on the "
            "server); if not, somebody may be in between. Nothing was sent, and what is committed "
            "here is safe."
        )
    if any(words in stderr for words in _NOT_LET_IN):
        return (
            "The git origin does not let us in: check the user in VOXMILL_GIT and the key "
            "(`ssh-add -l`, ~/.ssh/config, GIT_SSH_COMMAND) or git's credential helper. What is "
            "committed here is safe; start again then."
        )
    if "Permission denied" in stderr:
        return f"Check who may write to {folder} and to the origin."
    return ""
