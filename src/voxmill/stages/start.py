"""Starts a stage as its resources have it: on GPUs that work, in one process or several."""

from __future__ import annotations

import logging
from collections.abc import Callable

from voxmill.stages.catalogue import load_stage
from voxmill.stages.gpu_check import Gpus, lines, require_gpus
from voxmill.stages.nvidia import NvidiaGpus
from voxmill.stages.runner import StageOrder, run_stage
from voxmill.stages.stage import Stage
from voxmill.stages.together import run_together

logger = logging.getLogger(__name__)

SHARED = frozenset({"train"})
"""Stages whose work several processes can share; the others take one, whatever they are given."""


def start_stage(
    order: StageOrder,
    *,
    gpus: int = 0,
    processes: int | None = None,
    load: Callable[[str], Stage] = load_stage,
    port: Gpus | None = None,
) -> None:
    """Runs a stage to its end.

    Args:
        order: What to run.
        gpus: How many it needs; they are tried out first. 0: it asks for none.
        processes: How many share the work of a stage that can be shared; None: one for each GPU.
        load: Gives the stage of a name.
        port: The GPUs; None: this machine's.

    Raises:
        EngineMissing: A GPU that it needs is not there or does not work.
        VoxmillError: As the stage has it.
    """
    if gpus:
        logger.info("%s", "; ".join(lines(require_gpus(gpus, port or NvidiaGpus()))))
    crew = processes or max(1, gpus)
    if order.stage in SHARED and crew > 1:
        run_together(order, processes=crew, gpus=gpus, load=load)
    else:
        run_stage(order, load=load)
