"""One of several processes that train together: what runs in each of them.

The first does what one process alone would do. The others make the same steps, write nothing, and
say no more than warnings.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NoReturn

from voxmill.errors import CheckpointedAndLeft, VoxmillError
from voxmill.observability.log_context import LogFields, bind_log_context
from voxmill.observability.logs import log_mode, set_up_logging
from voxmill.stages.failures import translate
from voxmill.stages.interrupt import stop_flag
from voxmill.stages.runner import StageOrder, run_stage
from voxmill.stages.stage import Stage, StageContext

EXIT_CODE, MESSAGE = "exit_code", "message"
"""What a process writes of its end, beside the time, where the launcher looks for it."""

_PR_SET_PDEATHSIG = 1
_NOTICE_SECONDS = 2.0
"""Who lost the others waits so long: the launcher then has seen who of them died first."""


@dataclass(frozen=True, kw_only=True)
class MemberOrder:
    """What each process is told."""

    order: StageOrder
    load: Callable[[str], Stage]
    gpus: int
    """0: on the CPU, also where there are GPUs."""
    stop: Event
    """Set when the training is to save and leave."""
    parent: int
    """Process id of the launcher."""
    log_fields: LogFields
    """What every line of the log belongs to, and the run's log."""


def run_member(member: MemberOrder) -> str | None:
    """Does this process's part to the end; a failure ends the process.

    Returns:
        The message, where all processes were asked to stop, saved and left; else None.
    """
    _die_with(member.parent)
    rank = int(os.environ["RANK"])
    set_up_logging(log_mode(os.environ), os.environ)
    bind_log_context(**member.log_fields)
    if rank > 0:
        logging.getLogger().setLevel(logging.WARNING)
    if not member.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        _take_part(member, rank)
    except CheckpointedAndLeft as left:
        return str(left)
    except VoxmillError as error:
        _leave(error.exit_code, {MESSAGE: str(error), EXIT_CODE: error.exit_code})
    except Exception as error:  # noqa: BLE001 -- nobody after us can show its traceback
        sys.excepthook(*sys.exc_info())
        _leave(1, {MESSAGE: f"{type(error).__name__}: {error}"})
    return None


def _take_part(member: MemberOrder, rank: int) -> None:
    from voxmill.training.distributed import PeersLostError, joined_team

    with stop_flag() as signalled:

        def asked() -> bool:
            return signalled() or member.stop.is_set()

        try:
            with joined_team():
                if rank == 0:
                    run_stage(member.order, load=member.load, stop_requested=asked)
                else:
                    _follow(member, asked)
        except PeersLostError as error:
            time.sleep(_NOTICE_SECONDS)
            if member.stop.is_set():  # they left before this one had begun to train
                raise CheckpointedAndLeft(
                    "Asked to stop before all processes had begun. Start again: it goes on from "
                    "the newest checkpoint."
                ) from error
            raise VoxmillError(str(error)) from error


def _follow(member: MemberOrder, asked: Callable[[], bool]) -> None:
    order = member.order
    context = StageContext(
        recipe=order.recipe,
        inputs=order.inputs,
        out=order.out,
        work=order.work,
        shard=order.shard,
        stop_requested=asked,
        clock=time.perf_counter,
    )
    try:
        member.load(order.stage).run(context)
    except Exception as error:
        failure = translate(error, stage=order.stage, out=order.out, work=order.work)
        if failure is None:
            raise
        raise failure from error


def _die_with(parent: int) -> None:
    """Lets the kernel kill this process as soon as its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


def _leave(exit_code: int, word: dict[str, str | int]) -> NoReturn:
    text = json.dumps({**word, "timestamp": int(time.time())})
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(text, encoding="utf-8")
    sys.exit(exit_code)
