"""`voxmill gpu-check`: do the GPUs work, before hours are spent on them."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("gpu-check")(gpu_check)


def gpu_check(
    *,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="How many are needed; by default all that are here.")
    ] = None,
) -> None:
    """Asks the driver (NVML) and lets each GPU multiply two matrices; takes a few seconds.

    Ends with 69 and the reasons where one is missing or wrong. Stages that need GPUs do the same
    before they begin.
    """
    from voxmill.stages.gpu_check import lines, require_gpus
    from voxmill.stages.nvidia import NvidiaGpus

    for line in lines(require_gpus(gpus, NvidiaGpus())):
        typer.echo(line)
