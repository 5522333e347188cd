"""What the process launcher does when something is killed outright, or the machine is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from voxmill.errors import EngineMissing, UsageError
from voxmill.launchers.jobs import JobFiles
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
from voxmill.launchers.processes import ProcessId, identify

WAITS = """
import os, signal, subprocess, sys, time
from pathlib import Path
work = Path(sys.argv[1])
with (work / "starts").open("a") as file: file.write("x")
def leave(*_):
    (work / "checkpoint").write_text("saved")
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
helper = subprocess.Popen(["sleep", "60"])
(work / "helper").write_text(str(helper.pid))
print("ready", flush=True)
while not (work / "go").exists(): time.sleep(0.01)
print("done", flush=True)
"""
DRIVER = """
import sys
from pathlib import Path
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.process import ProcessLauncher
folder = Path(sys.argv[1])
run = StageRun(run="digits-manual", recipe="digits", stage="train", attempt=1,
    recipe_file=folder / "digits.yaml", inputs={}, out=folder / "train.partial",
    work=folder / "work")
ProcessLauncher(lambda run: [sys.executable, "-c", sys.argv[2], str(run.work)]).run(run)
"""


@pytest.fixture
def stage_run(tmp_path: Path) -> StageRun:
    (tmp_path / "digits.yaml").write_text("title: toy\n")
    return StageRun(
        run="digits-manual",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=tmp_path / "digits.yaml",
        inputs={},
        out=tmp_path / "train.partial",
        work=tmp_path / "work",
        grace_seconds=5.0,
    )


@pytest.fixture
def detached(tmp_path: Path, stage_run: StageRun) -> Iterator[subprocess.Popen[str]]:
    """A launcher in a process of its own, whose job has just said `ready`."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), WAITS], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()
    if record := files_of(stage_run).record():
        record.warden.signal(signal.SIGTERM)


def files_of(stage_run: StageRun) -> JobFiles:
    return JobFiles(stage_run.work, stage_run.stage)


def launcher(source: str, seen: list[str] | None = None) -> ProcessLauncher:
    lines = [] if seen is None else seen
    return ProcessLauncher(
        lambda run: [sys.executable, "-c", source, str(run.work)], emit=lines.append
    )


def gone(pid: int) -> bool:
    process = identify(pid)
    return process is None or not process.alive


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_launcher_killed_in_mid_run_leaves_a_job_that_the_next_try_finishes(detached, stage_run):
    """A worker's death by kill -9 costs nothing: the same job goes on and its result arrives."""
    wait_until(lambda: files_of(stage_run).offset(1).read_text() == f"{len('ready') + 1:020}")
    detached.send_signal(signal.SIGKILL)
    detached.wait()
    seen: list[str] = []
    threading.Timer(0.3, (stage_run.work / "go").touch).start()
    result = launcher(WAITS, seen).run(replace(stage_run, attempt=2))
    assert (result.exit_code, result.attached) == (0, True)
    assert (stage_run.work / "starts").read_text() == "x"
    assert [line for line in seen if line in {"ready", "done"}] == ["done"]


def test_a_job_lives_in_a_session_of_its_own_apart_from_its_launcher(detached, stage_run):
    """Whatever ends the worker's process group or session does not reach the job."""
    record = files_of(stage_run).record()
    assert record is not None
    sessions = {os.getsid(detached.pid), os.getsid(record.pid), os.getsid(record.child_pid)}
    assert len(sessions) == 3


def test_a_warden_killed_under_its_launcher_ends_the_job_and_counts_as_killed(detached, stage_run):
    """The job may save (SIGTERM), nothing of it stays behind, and the try is one that failed."""
    record = files_of(stage_run).record()
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    detached.communicate(timeout=20)
    taken = files_of(stage_run).taken_result(1)
    assert taken is not None
    assert (taken.exit_code, taken.cause) == (137, "warden lost")
    assert (stage_run.work / "checkpoint").read_text() == "saved"
    assert not record.child.alive
    assert gone(int((stage_run.work / "helper").read_text()))


def test_a_job_without_warden_and_launcher_is_ended_before_the_next_one_starts(detached, stage_run):
    """No two trainers ever write into the same work folder."""
    record = files_of(stage_run).record()
    assert record is not None
    detached.send_signal(signal.SIGKILL)
    os.kill(record.pid, signal.SIGKILL)
    detached.wait()
    wait_until(lambda: not record.warden.alive)
    source = f"import os; raise SystemExit(os.path.exists('/proc/{record.child_pid}/exe'))"
    result = launcher(source).run(replace(stage_run, attempt=2))
    assert (result.exit_code, result.attached) == (0, False)
    assert gone(int((stage_run.work / "helper").read_text()))


def test_a_killed_job_gives_137_and_leaves_nobody_behind(detached, stage_run):
    """Data loaders of a dead trainer would hold memory and GPU for ever."""
    record = files_of(stage_run).record()
    assert record is not None
    os.kill(record.child_pid, signal.SIGKILL)
    detached.communicate(timeout=20)
    taken = files_of(stage_run).taken_result(1)
    assert taken is not None
    assert (taken.exit_code, taken.cause) == (137, "exited")
    assert gone(int((stage_run.work / "helper").read_text()))


def test_two_launchers_at_once_start_one_job(stage_run):
    """A second worker that comes in the same moment attaches instead of starting another."""
    results = []
    both = [
        threading.Thread(target=lambda: results.append(launcher(WAITS).run(stage_run)))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    wait_until((stage_run.work / "helper").exists)
    time.sleep(0.3)
    (stage_run.work / "go").touch()
    for thread in both:
        thread.join(20)
    assert sorted(result.exit_code for result in results) == [0, 0]
    assert (stage_run.work / "starts").read_text() == "x"


def test_a_running_job_with_another_recipe_is_not_taken_for_this_one(detached, stage_run):
    """Attaching would commit the old recipe's output under the new one's parameters."""
    stage_run.recipe_file.write_text("title: changed\n")
    with pytest.raises(UsageError, match=r"try 1 .* still runs .* another recipe"):
        launcher(WAITS).run(replace(stage_run, attempt=2))


def test_a_good_output_whose_taker_died_is_not_made_again(stage_run):
    """Between taking the result and renaming the output there is a moment to die in."""
    source = f"open({str(stage_run.out / 'report.json')!r}, 'w').write('{{}}')"
    assert launcher(source).run(stage_run).exit_code == 0
    again = launcher("raise SystemExit(9)").run(replace(stage_run, attempt=2))
    assert (again.exit_code, again.attached) == (0, True)


def test_a_job_of_a_former_boot_is_not_mistaken_for_a_process_with_its_number(stage_run):
    """A pid counts only together with the time at which its process started."""
    assert launcher("raise SystemExit(3)").run(stage_run).exit_code == 3
    files = files_of(stage_run)
    record = json.loads(files.job.read_text())
    alive = os.getpid()
    files.job.write_text(json.dumps({**record, "pid": alive, "ticks": 1, "child_pid": alive}))
    files.taken(1).unlink()
    assert launcher("raise SystemExit(0)").run(replace(stage_run, attempt=2)).exit_code == 0
    assert ProcessId(alive, 1).alive is False


def test_a_command_that_is_not_there_gives_127_and_says_so(stage_run):
    """A missing interpreter is no failure of the stage."""
    seen: list[str] = []
    missing = ProcessLauncher(lambda run: ["/no/such/program"], emit=seen.append)
    assert missing.run(stage_run).exit_code == 127
    assert "cannot start /no/such/program: No such file or directory" in seen[0]


def test_the_warden_weighs_little(detached, stage_run):
    """It stays for days beside a training: at most 16 MiB."""
    record = files_of(stage_run).record()
    assert record is not None
    status = Path(f"/proc/{record.pid}/status").read_text()
    kibibytes = next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    assert kibibytes < 16 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_to_start_and_says_where_to_make_room(small_disk, stage_run):
    """Exit code 69: the machine, not the stage, has to change."""
    (small_disk / "ballast").write_bytes(b"x" * 256 * 1024)
    with pytest.raises(EngineMissing, match=r"No space left on the disk of .*Make room"):
        launcher("").run(replace(stage_run, work=small_disk / "work"))


def test_a_disk_that_fills_up_under_a_job_cannot_swallow_its_result(small_disk, stage_run):
    """The result's place is taken before the job starts."""
    work = small_disk / "work"
    fills = f"""
try:
    with open({str(small_disk / "ballast")!r}, "wb", buffering=0) as file:
        while True: file.write(b"x" * 512)
except OSError:
    raise SystemExit(69)
"""
    assert launcher(fills).run(replace(stage_run, work=work)).exit_code == 69
