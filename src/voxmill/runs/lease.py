"""The lease of a stage: which host may carry it out and push its result.

It is the ref `refs/leases/<run>/<stage>` on the git origin, which every host of a project reaches
anyway. It points at a small blob; git changes a ref only where it still points where the writer
last saw it, so that of two hosts one wins. The holder writes a new blob each minute. Another host
does not compare clocks: it watches the ref and takes over when it has not changed for the whole
time to live.

On the host that holds the lease, the next worker goes on at once: the job may still run there. A
worker that finds its lease gone asks its job to save and leave, and pushes nothing.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from voxmill.errors import CheckpointedAndLeft, UsageError, VoxmillError
from voxmill.runs.git import Git, GitFailed, OriginUnreachable
from voxmill.runs.project import Project
from voxmill.runs.run import Run

logger = logging.getLogger(__name__)

SKEW_SECONDS = 60.0
"""Clocks of two hosts that differ by more are worth a word."""
_REFUSED = ("stale info", "rejected", "cannot lock ref", "failed to update ref", "fetch first")


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """How long a lease lives, and how often it is renewed; all hosts of a project agree."""

    live_seconds: float = 180.0
    renew_seconds: float = 60.0

    @property
    def poll_seconds(self) -> float:
        """Pause between two looks at somebody else's lease."""
        return min(5.0, self.live_seconds / 10)

    @property
    def answer_seconds(self) -> float:
        """How long the origin may take, so that a cut cable is noticed in good time."""
        return max(1.0, self.live_seconds / 10)


class Lease:
    """A lease that this process holds and renews.

    Args:
        run: The run.
        stage: Name of the stage.
        times: Its life.
        on_loss: Called once, from another thread, when the lease is gone.
    """

    def __init__(
        self, run: Run, stage: str, times: LeaseTimes, on_loss: Callable[[], None]
    ) -> None:
        self._git = Git(run.folder, patience_seconds=times.answer_seconds)
        self._run = run
        self._stage = stage
        self._times = times
        self._on_loss = on_loss
        self._ref = f"refs/leases/{run.name}/{stage}"
        self._host = host_of(run)
        self._value = ""
        self._renewed = 0.0
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.lost = False

    def take(self) -> None:
        """Takes the lease: at once where it is free or this host's, else when it has run out.

        Raises:
            UsageError: Another host holds it and renews it.
            OriginUnreachable: The origin does not answer.
        """
        if not self._write(expected=""):
            self._take_over()
        self._keeper.start()

    def give_back(self) -> None:
        """Ends the renewing and frees the lease, if it is still ours."""
        self._done.set()
        if self._keeper.is_alive():
            self._keeper.join()
        if self.lost:
            return
        try:
            self._git.run(
                *("push", "--quiet", f"--force-with-lease={self._ref}:{self._value}"),
                *("origin", f":{self._ref}"),
            )
        except (GitFailed, OriginUnreachable) as error:
            logger.warning("The lease %s runs out by itself: %s", self._ref, error)

    def refuse_if_lost(self) -> None:
        """Makes sure that this host may still push.

        Raises:
            CheckpointedAndLeft: Another host has taken over, or the origin could not be reached.
        """
        if self.lost:
            raise CheckpointedAndLeft(
                f"Stage {self._stage} of {self._run.name}: this host's lease {self._ref} is gone, "
                f"so its result is not pushed. Whoever holds it now goes on; `voxmill resume "
                f"{self._run.id}` shows who."
            )

    def _take_over(self) -> None:
        seen, since = self._look(), time.monotonic()
        told = False
        while True:
            holder = self._read(seen) if seen else {}
            idle = time.monotonic() - since
            mine = holder.get("host") == self._host
            if (not seen or mine or idle >= self._times.live_seconds) and self._write(seen):
                if seen and not mine:
                    logger.warning(
                        "Took over from %s, which has not renewed its lease for %.0f s; the stage "
                        "starts from its beginning here: checkpoints stay on the host that made "
                        "them.",
                        *(holder.get("host"), idle),
                    )
                return
            if not told and not mine and seen:
                logger.info("%s Waiting whether it is renewed.", self._held_by(holder))
                told = True
            time.sleep(self._times.poll_seconds)
            now = self._look()
            if now and seen and now != seen and not mine:
                holder = self._read(now)
                self._tell_of_skew(holder)
                raise UsageError(
                    f"{self._held_by(holder)} It is alive: wait for it, or stop it there."
                )
            seen, since = (now, time.monotonic()) if now != seen else (seen, since)

    def _keep(self) -> None:
        """Renews until told otherwise; runs in a thread of its own."""
        pause = self._times.renew_seconds
        while not self._done.wait(pause):
            try:
                renewed = self._write(expected=self._value)
            except VoxmillError as error:
                # Others wait for the whole life from the last value they saw, so half is safe.
                left = self._times.live_seconds / 2 - (time.monotonic() - self._renewed)
                logger.warning("The lease could not be renewed, %.0f s left: %s", left, error)
                renewed = left > 0
                pause = max(0.05, min(self._times.renew_seconds / 4, left))
            else:
                pause = self._times.renew_seconds
            if not renewed:
                self.lost = True
                logger.error("The lease %s is gone; asking the job to save and leave", self._ref)
                self._on_loss()
                return

    def _write(self, expected: str) -> bool:
        """Points the ref at a new blob, if it still points at what is expected."""
        words = {"host": self._host, "pid": os.getpid(), "time": datetime.now(UTC).isoformat()}
        value = self._git.run("hash-object", "-w", "--stdin", stdin=json.dumps(words).encode())
        try:
            self._git.run(
                *("push", "--quiet", f"--force-with-lease={self._ref}:{expected}"),
                *("origin", f"{value}:{self._ref}"),
            )
        except GitFailed as error:
            if any(word in error.stderr for word in _REFUSED):
                return False
            raise
        self._value, self._renewed = value, time.monotonic()
        return True

    def _look(self) -> str:
        """What the ref points at; empty where there is none."""
        return self._git.run("ls-remote", "origin", self._ref).partition("\t")[0]

    def _read(self, value: str) -> dict[str, str]:
        if not self._git.succeeds("cat-file", "-e", value):
            self._git.succeeds("fetch", "--quiet", "--no-tags", "origin", self._ref)
        try:
            words: dict[str, str] = json.loads(self._git.run("cat-file", "blob", value))
        except (GitFailed, ValueError):  # replaced or given back meanwhile
            return {}
        return words

    def _tell_of_skew(self, holder: dict[str, str]) -> None:
        """Warns of clocks that differ, when a value is there that was not at the last look."""
        try:
            written = datetime.fromisoformat(holder["time"])
        except (KeyError, ValueError):
            return
        ahead = (written - datetime.now(UTC)).total_seconds()
        if abs(ahead) > SKEW_SECONDS:
            logger.warning(
                "The clock of host %s is %.0f s %s this one's. The lease does not mind, but times "
                "in logs, journals and commits cannot be compared, and S3 refuses 15 minutes: set "
                "both clocks (`timedatectl set-ntp true`).",
                *(holder.get("host"), abs(ahead), "ahead of" if ahead > 0 else "behind"),
            )

    def _held_by(self, holder: dict[str, str]) -> str:
        return (
            f"Stage {self._stage} of {self._run.name}: host {holder.get('host', 'unknown')} is at "
            f"it (process {holder.get('pid', 'unknown')}, lease of {holder.get('time', 'now')})."
        )


@contextmanager
def leased(
    run: Run, stage: str, on_loss: Callable[[], None], times: LeaseTimes | None = None
) -> Iterator[Lease]:
    """Holds the lease of a stage; raises as `Lease.take` does."""
    lease = Lease(run, stage, times or lease_times(), on_loss)
    lease.take()
    try:
        yield lease
    finally:
        lease.give_back()


def lease_times() -> LeaseTimes:
    """As `VOXMILL_LEASE_SECONDS` says, which every host of a project has to agree on."""
    told = os.environ.get("VOXMILL_LEASE_SECONDS")
    if not told:
        return LeaseTimes()
    try:
        seconds = float(told)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise UsageError(f"VOXMILL_LEASE_SECONDS is {told!r}; give a number of seconds above 0.")
    return LeaseTimes(live_seconds=seconds, renew_seconds=seconds / 3)


def host_of(run: Run) -> str:
    """This machine and home: jobs of the same one can be attached to."""
    return f"{socket.gethostname()}:{Project.of_clone(run.folder).home}"
