"""The warden: a small process that keeps one job, so that the job outlives its launcher.

It is started as a plain file (`python -I -S warden.py`) with its orders on standard input, and
imports nothing but light parts of the standard library: it lives as long as the job does. It
holds a lock file for all its life, starts the job in a session of its own, ends it on SIGTERM or
on a timeout (SIGTERM to the job's first process, SIGKILL to its whole group after the grace),
and leaves a result file.

If the warden itself is killed, the kernel sends SIGTERM to the job (PR_SET_PDEATHSIG): a trainer
then saves and leaves, and whoever comes next ends what is still there.
"""

# ruff: noqa: PTH123, PTH105 -- pathlib and contextlib would double what this process weighs
# ruff: noqa: SIM105
from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False  # `typing` itself stays out
if TYPE_CHECKING:
    from typing import Any

PR_SET_PDEATHSIG = 1
TIMED_OUT = 124
"""Exit code of a job that ran into its time limit, as coreutils' timeout has it."""
WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
LONGEST_NAP_SECONDS = 1.0
RESERVED_BYTES = 4096
"""Taken on disk before the job starts, so that a full disk cannot swallow the result."""


def main() -> None:
    """Starts the job, tells the launcher so, and stays until the job has ended."""
    orders = json.load(sys.stdin)
    os.set_inheritable(orders["lock_fd"], False)  # noqa: FBT003 -- its only form
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.close(orders["lock_fd"])
        with os.fdopen(told) as pipe:
            complaint = pipe.read()
        os._exit(0 if complaint == "started" else _complain(complaint))
    os.close(told)
    try:
        watch(orders, tell)
    except OSError as error:
        os.write(tell, f"{error.errno} {error.strerror}: {error.filename}".encode())
        os._exit(1)


def watch(orders: dict[str, Any], tell: int) -> None:
    """Runs the job from its start to its result file; says "started" as soon as it is known."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    _speak_into(orders["log"])
    draft = _reserve(orders["result"] + ".draft")
    libc = ctypes.CDLL(None, use_errno=True)
    oom_kills = _oom_kills()
    began = time.monotonic()
    child, go = _fork_job(orders, libc)
    _write_job(orders, child)
    for pipe, word in ((tell, b"started"), (go, b"!")):
        os.write(pipe, word)
        os.close(pipe)
    status, usage, cause = _wait(child, began, orders)
    seconds = time.monotonic() - began
    _say(f"ended after {seconds:.1f} s: {_words(status, cause)}")
    result = {
        "attempt": orders["record"]["attempt"],
        "exit_code": _exit_code(status, cause),
        "cause": cause,
        "seconds": seconds,
        "max_rss_bytes": usage.ru_maxrss * 1024,
        "oom_kills": max(0, _oom_kills() - oom_kills),
    }
    _overwrite(draft, orders["result"], json.dumps(result, sort_keys=True) + "\n")


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot: with the pid, its identity."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def _complain(complaint: str) -> int:
    sys.stderr.write(complaint)
    sys.stderr.flush()
    return 1


def _speak_into(log: str) -> None:
    """Standard output and error become the log; standard input is empty."""
    with open(os.devnull, "rb") as nothing, open(log, "ab", buffering=0) as file:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _reserve(draft: str) -> str:
    with open(draft, "wb") as file:
        file.write(b" " * RESERVED_BYTES)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _write_job(orders: dict[str, Any], child: int) -> None:
    record = {
        **orders["record"],
        "pid": os.getpid(),
        "ticks": start_ticks(os.getpid()),
        "child_pid": child,
        "child_ticks": start_ticks(child),
    }
    _write_whole(orders["job"], json.dumps(record, sort_keys=True) + "\n")


def _fork_job(orders: dict[str, Any], libc: ctypes.CDLL) -> tuple[int, int]:
    """Forks the job, which waits for the word to start; it never runs without a job file."""
    wait, go = os.pipe()
    warden = os.getpid()
    child = os.fork()
    if child:
        os.close(wait)
        return child, go
    os.close(go)
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these; a job should not
            signal.signal(number, signal.SIG_DFL)
        if os.getppid() == warden and os.read(wait, 1):
            os.chdir(orders["cwd"])
            os.execvpe(orders["command"][0], orders["command"], orders["env"])  # noqa: S606
    except OSError as error:
        _say(f"cannot start {orders['command'][0]}: {error.strerror}")
    os._exit(127)


def _wait(child: int, began: float, orders: dict[str, Any]) -> tuple[int, Any, str]:
    """Waits for the job's end; asks it to leave and kills it when it is time to."""
    limit = orders["timeout_seconds"]
    end_at = began + limit if limit is not None else None
    kill_at = None
    cause = "exited"
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        now = time.monotonic()
        if kill_at is not None and now >= kill_at:
            _say("the grace is over: SIGKILL")
            _signal_group(child, signal.SIGKILL)
            kill_at = now + LONGEST_NAP_SECONDS
        elif end_at is not None and now >= end_at and cause == "exited":
            cause = "timed out"
            _say(f"time limit of {limit:g} s reached: SIGTERM")
            kill_at = _ask_to_leave(child, now, orders["grace_seconds"], kill_at)
        due = [at for at in (kill_at, end_at if cause == "exited" else None) if at is not None]
        nap = max(0.0, min([LONGEST_NAP_SECONDS, *(at - now for at in due)]))
        woken = signal.sigtimedwait(WATCHED, nap)
        if woken and woken.si_signo == signal.SIGTERM:
            cause = "stopped" if cause == "exited" else cause
            grace = _grace(orders)
            _say(f"asked to stop: SIGTERM, then {grace:g} s of grace")
            kill_at = _ask_to_leave(child, time.monotonic(), grace, kill_at)
    _signal_group(child, signal.SIGKILL)  # what the job left behind, while its id is still taken
    _, status, usage = os.wait4(child, 0)
    return status, usage, cause


def _ask_to_leave(child: int, now: float, grace: float, kill_at: float | None) -> float:
    """SIGTERM to the first process alone, as an engine of containers does.

    Its workers would die of it in the middle of the checkpoint that it is asked to write.
    """
    os.kill(child, signal.SIGTERM)
    return now + grace if kill_at is None else min(kill_at, now + grace)


def _grace(orders: dict[str, Any]) -> float:
    try:
        with open(orders["stop"]) as file:
            return float(file.read())
    except (OSError, ValueError):
        return float(orders["grace_seconds"])


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        pass


def _exit_code(status: int, cause: str) -> int:
    code = os.waitstatus_to_exitcode(status)
    if cause == "timed out" and code != 0:
        return TIMED_OUT
    return 128 - code if code < 0 else code


def _words(status: int, cause: str) -> str:
    code = os.waitstatus_to_exitcode(status)
    how = f"died of {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return how if cause == "exited" else f"{how} ({cause})"


def _oom_kills() -> int:
    """How many processes this machine's kernel has killed for want of memory since boot."""
    try:
        with open("/proc/vmstat") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0


def _say(words: str) -> None:
    try:
        os.write(2, f"[warden] {words}\n".encode())
    except OSError:  # the disk is full; the job goes on and its result has its place
        pass


def _write_whole(path: str, text: str) -> None:
    with open(path + ".draft", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".draft", path)


def _overwrite(draft: str, path: str, text: str) -> None:
    """Puts the result into the space that was reserved for it, then under its name."""
    with open(draft, "r+b") as file:
        file.write(text.encode())
        file.flush()
        file.truncate()
        os.fsync(file.fileno())
    os.replace(draft, path)


if __name__ == "__main__":
    main()
