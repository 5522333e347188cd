"""The runner keeps the stage contract, whatever the stage does."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voxmill.errors import (
    CheckpointedAndLeft,
    DataError,
    EngineMissing,
    GpuLost,
    UsageError,
    VoxmillError,
)
from voxmill.observability.journal import read_journal
from voxmill.recipe.reading import read_recipe
from voxmill.stages.report import StageReport, file_digest, read_report
from voxmill.stages.runner import StageOrder, run_stage
from voxmill.stages.stage import Check, Shard, Stage, StageContext, StageOutcome

DIGITS = Path(__file__).resolve().parents[3] / "recipes" / "digits.yaml"


class FunctionStage:
    """A stage that does what a function does."""

    name = "prepare"
    version = 7

    def __init__(self, work: Callable[[StageContext], StageOutcome | None]) -> None:
        self._work = work

    def run(self, context: StageContext) -> StageOutcome:
        return self._work(context) or StageOutcome()


@pytest.fixture
def order(tmp_path: Path) -> StageOrder:
    for name in ("audit", "memory", "source"):
        (tmp_path / name).mkdir()
    return StageOrder(
        stage="prepare",
        recipe=read_recipe(DIGITS, ["prepare.shard_megabytes=3"]),
        inputs={name: tmp_path / name for name in ("audit", "memory")},
        out=tmp_path / "artifacts" / "prepare.partial",
        work=tmp_path / "work" / "digits",
        shard=Shard(index=1, count=4),
        attempt=2,
    )


def run(order: StageOrder, work: Callable[[StageContext], StageOutcome | None]) -> StageReport:
    def load(name: str) -> Stage:
        assert name == order.stage
        return FunctionStage(work)

    ticks = iter((10.0, 12.5))
    return run_stage(
        order,
        load=load,
        clock=lambda: next(ticks),
        now=lambda: datetime(2026, 11, 21, 3, 45, 12, tzinfo=UTC),
    )


def raising(error: BaseException) -> Callable[[StageContext], StageOutcome]:
    def work(context: StageContext) -> StageOutcome:
        (context.out / "half.bin").write_bytes(b"x" * 1000)
        raise error

    return work


def test_the_stage_gets_its_folders_and_nothing_else(order: StageOrder) -> None:
    """Inputs by name, an empty output folder, a work folder that is there."""
    seen: list[StageContext] = []

    def work(context: StageContext) -> None:
        assert list(context.out.iterdir()) == []
        assert context.work.is_dir()
        seen.append(context)

    run(order, work)
    (context,) = seen
    assert context.input("audit") == order.inputs["audit"]
    assert (context.shard.index, context.shard.count) == (1, 4)
    assert context.recipe is order.recipe
    with pytest.raises(UsageError, match="Add --in verify=DIR"):
        context.input("verify")


def test_the_report_tells_everything(order: StageOrder) -> None:
    """Verdict, checks, figures, config, hashes of inputs and outputs, versions, time, memory."""
    audit_report = order.inputs["audit"] / "report.json"
    audit_report.write_text("{}", encoding="utf-8")

    def work(context: StageContext) -> StageOutcome:
        (context.out / "shards").mkdir()
        (context.out / "shards" / "00000.pcm").write_bytes(b"\x01\x02")
        failed = Check(name="prepare.unknown", value=0.5, limit="at most 0", passed=False, help="h")
        return StageOutcome(checks=(failed,), figures={"utterances": 3})

    report = run(order, work)
    assert read_report(order.out) == report
    assert (report.stage, report.recipe, report.version) == ("prepare", "digits", 7)
    assert report.verdict == "failed"
    assert [check.name for check in report.failed_checks] == ["prepare.unknown"]
    assert report.figures == {"utterances": 3}
    assert set(report.config) == {"prepare", "model", "family", "language"}
    assert report.config["prepare"]["shard_megabytes"] == 3  # type: ignore[index, call-overload]
    assert report.inputs["audit"] == file_digest(audit_report)
    assert set(report.outputs) == {"shards/00000.pcm"}
    assert report.outputs["shards/00000.pcm"].bytes == 2
    assert report.outputs["shards/00000.pcm"].sha256 == (
        "a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222"
    )
    assert report.versions["voxmill"]
    assert report.started == "2026-11-21T03:45:12+00:00"
    assert report.seconds == 2.5
    assert report.peak_memory_bytes > 10_000_000
    assert (report.attempt, report.shard) == (2, "1/4")


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (StageOutcome(), "passed"),
        (StageOutcome(applicable=False), "not_applicable"),
        (
            StageOutcome(checks=(Check(name="a", value=1, limit="at most 2", passed=True),)),
            "passed",
        ),
    ],
)
def test_the_verdict_is_that_of_the_outcome(
    order: StageOrder, outcome: StageOutcome, verdict: str
) -> None:
    """A stage that does not apply is neither passed nor failed."""
    assert run(order, lambda _: outcome).verdict == verdict


def test_figures_go_to_the_attempt_s_journal(order: StageOrder) -> None:
    """What the stage records is on disk when it has ended, also where it failed."""

    def work(context: StageContext) -> None:
        context.recorder.record({"voxmill_train_loss": 2.0}, step=3)
        raise DataError("broken")

    with pytest.raises(DataError):
        run(order, work)
    assert (order.work / "journal" / "2.jsonl").is_file()
    (line,) = read_journal(order.work / "journal")
    assert (line.step, line.values) == (3, {"voxmill_train_loss": 2.0})


def test_an_output_folder_that_holds_something_is_refused(order: StageOrder) -> None:
    """Nothing is overwritten: whose files these are, the runner cannot know."""
    order.out.mkdir(parents=True)
    (order.out / "old.txt").write_text("old", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is not empty: found old\.txt"):
        run(order, lambda _: None)
    assert (order.out / "old.txt").read_text(encoding="utf-8") == "old"


def test_missing_inputs_and_entangled_folders_are_refused(order: StageOrder) -> None:
    """A stage never writes into what it reads."""
    base = vars(order)
    with pytest.raises(UsageError, match="Input audit: no folder at"):
        run(StageOrder(**{**base, "inputs": {"audit": order.out / "nothing"}}), lambda _: None)
    inside = order.inputs["audit"] / "new"
    with pytest.raises(UsageError, match="one in the other"):
        run(StageOrder(**{**base, "out": inside}), lambda _: None)
    assert not inside.exists()
    file = order.inputs["memory"] / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="is a file"):
        run(StageOrder(**{**base, "work": file}), lambda _: None)


def test_a_signal_raises_the_flag_and_leaves_the_stage_to_save(order: StageOrder) -> None:
    """SIGTERM interrupts nothing; the stage sees it, saves and leaves; old handlers come back."""
    before = signal.getsignal(signal.SIGTERM)

    def work(context: StageContext) -> None:
        assert not context.stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert context.stop_requested()
        raise CheckpointedAndLeft("saved at step 3")

    with pytest.raises(CheckpointedAndLeft):
        run(order, work)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (order.out / "report.json").exists()


def test_a_second_ctrl_c_interrupts_at_once(order: StageOrder) -> None:
    """Who presses it twice does not want to wait."""

    def work(context: StageContext) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert context.stop_requested()
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second Ctrl-C was not heard")

    with pytest.raises(KeyboardInterrupt):
        run(order, work)


def test_a_stage_runs_outside_the_main_thread_too(order: StageOrder) -> None:
    """There Python takes no signal handlers; the stage runs without."""
    verdicts: list[str] = []
    thread = threading.Thread(target=lambda: verdicts.append(run(order, lambda _: None).verdict))
    thread.start()
    thread.join()
    assert verdicts == ["passed"]


def test_a_full_disk_says_what_to_do_and_makes_room(order: StageOrder) -> None:
    """The unfinished output goes; checkpoints and inputs stay; the message says both."""
    order.work.mkdir(parents=True)
    (order.work / "checkpoint").write_text("kept", encoding="utf-8")
    full = OSError(errno.ENOSPC, "No space left on device", str(order.out / "half.bin"))
    with pytest.raises(EngineMissing) as caught:
        run(order, raising(full))
    told = str(caught.value)
    assert f"the disk is full at {order.out / 'half.bin'}" in told
    assert "bytes free" in told
    assert "(1,000 bytes) was removed" in told
    assert "VOXMILL_HOME" in told
    assert list(order.out.iterdir()) == []
    assert (order.work / "checkpoint").read_text(encoding="utf-8") == "kept"
    assert caught.value.__cause__ is full


def test_a_library_that_hides_the_full_disk_is_seen_through(
    order: StageOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.save says "unexpected pos", libsndfile "System error": the disk itself is asked."""
    hiding = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")
    with pytest.raises(RuntimeError, match="unexpected pos"):
        run(order, raising(hiding))
    (order.out / "half.bin").unlink()
    nothing = shutil.disk_usage(order.out)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nothing)
    with pytest.raises(EngineMissing, match=r"the disk is full at .*: 4,096 bytes free"):
        run(order, raising(hiding))


def hidden(cause: BaseException) -> RuntimeError:
    """An error that a library raised while it cleaned up after the real one."""
    error = RuntimeError("unexpected pos 64 vs 0")
    error.__context__ = cause
    return error


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


OutOfMemoryError.__module__ = "torch"


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (hidden(OSError(errno.ENOSPC, "full")), EngineMissing, "the disk is full"),
        (OSError(errno.EDQUOT, "quota"), EngineMissing, "the disk is full"),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            EngineMissing,
            "the disk is full",
        ),
        (OutOfMemoryError("CUDA out of memory."), EngineMissing, "Lower train.batch_seconds"),
        (MemoryError(), EngineMissing, "the machine's memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 bytes"),
            EngineMissing,
            "the machine's memory",
        ),
        (RuntimeError("CUDA error: GPU is lost"), GpuLost, "newest checkpoint"),
        (
            RuntimeError("CUDA error: no CUDA-capable device is detected"),
            GpuLost,
            "newest checkpoint",
        ),
        (
            RuntimeError("CUDA error: uncorrectable ECC error encountered"),
            GpuLost,
            "newest checkpoint",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:30],
)
def test_failures_of_the_machine_get_our_names(
    order: StageOrder, error: Exception, kind: type[VoxmillError], told: str
) -> None:
    """Whatever library noticed it, one class, one exit code, one remedy."""
    with pytest.raises(kind, match="Stage prepare: ") as caught:
        run(order, raising(error))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        RuntimeError("CUDA error: device-side assert triggered"),
        OSError(errno.EACCES, "Permission denied"),
        DataError("ours"),
    ],
    ids=str,
)
def test_bugs_and_our_own_errors_pass_unchanged(order: StageOrder, error: Exception) -> None:
    """A bug keeps its traceback, and what was written stays to be looked at."""
    with pytest.raises(type(error)) as caught:
        run(order, raising(error))
    assert caught.value is error
    assert (order.out / "half.bin").exists()


def test_our_own_error_keeps_its_class_whatever_caused_it(order: StageOrder) -> None:
    """A stage that says itself what a full disk means to it is not spoken over."""

    def work(_: StageContext) -> None:
        full = OSError(errno.ENOSPC, "full")
        raise CheckpointedAndLeft("kept the older checkpoint") from full

    with pytest.raises(CheckpointedAndLeft, match="kept the older"):
        run(order, work)


def test_a_disk_that_fills_up_with_the_report_itself_is_told_like_any_other(
    order: StageOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is part of the output: without it the stage has not finished."""

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(EngineMissing, match="the disk is full"):
        run(order, lambda _: None)
    assert list(order.out.iterdir()) == []
