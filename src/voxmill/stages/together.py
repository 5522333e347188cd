"""Runs a stage as several processes of this machine that train one model together.

They are started and watched by PyTorch's elastic agent, in this process: what `accelerate launch`
and `torchrun` are command lines around. As commands they would give a training 30 seconds to save
after SIGTERM, open a session for each process (so that whoever ends this one's group leaves them
behind), and turn every exit code into 1.

- SIGTERM here: every process is told, all agree on a step, the first writes a checkpoint, 75.
- A process fails with an error of ours: the others are ended, and this one ends with its error.
- A process dies: the others are ended, 128 + the signal's number as everywhere.
- This process is killed: the kernel kills the others, so that nobody goes on writing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from voxmill.errors import (
    CheckpointedAndLeft,
    DataError,
    EngineMissing,
    GpuLost,
    TrainingFailed,
    UsageError,
    VoxmillError,
)
from voxmill.observability.log_context import LogFields, log_fields, run_log
from voxmill.stages.catalogue import load_stage
from voxmill.stages.interrupt import stop_flag
from voxmill.stages.member import EXIT_CODE, MESSAGE, MemberOrder, run_member
from voxmill.stages.runner import StageOrder
from voxmill.stages.stage import Stage

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_LOOPBACK = "127.0.0.1"  # the host's name may mean nothing in a container without network
_NOISY = ("torch.distributed.elastic", "torch.multiprocessing")
_ERRORS: dict[int, type[VoxmillError]] = {
    kind.exit_code: kind for kind in (UsageError, DataError, EngineMissing, TrainingFailed, GpuLost)
}


def run_together(
    order: StageOrder,
    *,
    processes: int,
    gpus: int = 0,
    load: Callable[[str], Stage] = load_stage,
) -> None:
    """Runs the stage to its end; the first process writes what one alone would have.

    Args:
        order: What to run.
        processes: How many share the work, at least 2.
        gpus: How many of them have a GPU of their own: all or none.
        load: Gives the stage of a name; importable, for each process imports it.

    Raises:
        UsageError: There are not enough micro-batches in a window, or GPUs, for so many processes.
        CheckpointedAndLeft: Asked to stop; a checkpoint was written first.
        VoxmillError: As one of the processes has it.
    """
    _refuse_idle(order, processes, gpus)
    for name in _NOISY:  # what went wrong is said here, once
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    stop = multiprocessing.get_context("spawn").Event()
    member = MemberOrder(
        order=order,
        load=load,
        gpus=gpus,
        stop=stop,
        parent=os.getpid(),
        log_fields=cast("LogFields", {**log_fields(), "log": run_log()}),
    )
    threads = str(max(1, len(os.sched_getaffinity(0)) // processes))
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # it warns of the host's missing name
    logger.info("%s of %s: %d processes", order.stage, order.recipe.name, processes)
    with stop_flag() as asked, _passed_on(asked, stop.set):
        message = _launched(member, processes, asked)
    if message is not None:
        raise CheckpointedAndLeft(message)


def _refuse_idle(order: StageOrder, processes: int, gpus: int) -> None:
    if gpus and processes > gpus:
        raise UsageError(
            f"resources.processes is {processes} with {gpus} GPU(s): each process needs a GPU of "
            f"its own. Set resources.processes to at most {gpus}, or leave it out."
        )
    accumulation = order.recipe.train.accumulation
    if accumulation < processes:
        raise UsageError(
            f"{processes} processes share the micro-batches of each optimizer step, and "
            f"train.accumulation makes {accumulation} of them: {processes - accumulation} would "
            f"have nothing to do. Raise train.accumulation to {processes} (and lower "
            f"train.batch_seconds as much, to keep the size of a step), or set "
            f"resources.processes to {accumulation}."
        )
    if accumulation % processes:
        logger.warning(
            "train.accumulation %d is no multiple of %d processes: at each step some of them wait "
            "for the others",
            accumulation,
            processes,
        )


@contextmanager
def _passed_on(asked: Callable[[], bool], tell: Callable[[], object]) -> Iterator[None]:
    """Tells the other processes as soon as this one is asked to stop."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            if asked():
                tell()
                return

    watcher = threading.Thread(target=watch, name="stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _launched(member: MemberOrder, processes: int, asked: Callable[[], bool]) -> str | None:
    """What the first process said when all of them left with a checkpoint; None at the end."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="voxmill-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{_LOOPBACK}:0",
            local_addr=_LOOPBACK,
            max_restarts=0,
            monitor_interval=_POLL_SECONDS,
            signals_to_handle="SIGQUIT",  # the others are ours
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            said: dict[int, str | None] = elastic_launch(config, run_member)(member)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            which = f"Process {rank + 1} of {processes} of stage {member.order.stage}"
            if asked() and failure.exitcode == -signal.SIGTERM:  # to our whole group
                raise CheckpointedAndLeft(
                    f"{which} was asked to stop before it had begun. Start again."
                ) from None
            raise _failure(which, failure, member.order) from None
        except SignalException as error:
            raise _died("The processes were asked to end.", error.sigval) from None
    return said[0]


def _failure(which: str, failure: ProcessFailure, order: StageOrder) -> VoxmillError:
    """What ended a process, and the others with it."""
    word: dict[str, Any] = failure.error_file_data
    if EXIT_CODE in word:
        error = _ERRORS.get(word[EXIT_CODE], VoxmillError)(word[MESSAGE])
        error.exit_code = word[EXIT_CODE]
        return error
    if failure.exitcode >= 0:
        return VoxmillError(f"{which} failed: {failure.message}; its traceback stands above.")
    number = signal.Signals(-failure.exitcode)
    return _died(
        f"{which} died of {number.name}; the others were ended. Somebody killed it, or the kernel "
        f"did for want of memory (`dmesg` tells). Start again: it goes on from the newest "
        f"checkpoint in {order.work}.",
        number,
    )


def _died(message: str, number: int) -> VoxmillError:
    error = VoxmillError(message)
    error.exit_code = 128 + number
    return error
