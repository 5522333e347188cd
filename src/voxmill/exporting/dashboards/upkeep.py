"""Machine, checkpoints and backup of *Training*."""

from __future__ import annotations

from voxmill.exporting.dashboards.expressions import RUN, on_its_machine, while_running
from voxmill.exporting.dashboards.frame import Tile
from voxmill.exporting.dashboards.panels import Look, Query, figure, lines
from voxmill.exporting.dashboards.wording import BAD, CARE, GOOD, steps


def machine_tiles() -> tuple[Tile, ...]:
    """GPU, waiting for data, memory."""
    panels = (
        lines(
            "GPU use",
            "Share of time that each GPU of this machine computed. Below the dashed line the "
            "rent is wasted.",
            [Query(on_its_machine("voxmill_gpu_utilisation_ratio"), "GPU {{gpu}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(BAD, (0.3, GOOD))),
        ),
        lines(
            "GPU memory",
            "In use, of what each GPU has.",
            [
                Query(
                    on_its_machine(
                        "voxmill_gpu_memory_used_bytes / voxmill_gpu_memory_total_bytes"
                    ),
                    "GPU {{gpu}}",
                )
            ],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(GOOD, (0.97, BAD))),
        ),
        lines(
            "Waiting for data",
            "Share of a step's time that passes before its batch is there. Above the dashed "
            "line the GPU starves: more loaders, or a faster disk.",
            [Query(f"voxmill_train_data_wait_ratio{{{RUN}}}", "{{run}}")],
            Look(unit="percentunit", low=0, high=1, thresholds=steps(GOOD, (0.2, CARE))),
        ),
    )
    return tuple(Tile(panel, 8, 8) for panel in panels)


def safety_tiles() -> tuple[Tile, ...]:
    """What a kill would cost now, and what it did cost."""
    age = f"time() - voxmill_checkpoint_timestamp_seconds{{{RUN}}}"
    small = (
        figure(
            "Newest checkpoint",
            "Its age: what a kill right now would cost.",
            [Query(while_running(age))],
            Look(
                unit="s",
                decimals=0,
                thresholds=steps(GOOD, (1800, CARE), (3600, BAD)),
                empty="not running",
            ),
        ),
        figure(
            "Size of a checkpoint",
            "Bytes of the newest one.",
            [Query(f"voxmill_checkpoint_bytes{{{RUN}}}")],
            Look(unit="bytes"),
        ),
        figure(
            "Stops survived",
            "Attempts that went on from an earlier one.",
            [Query(f"voxmill_train_restarts{{{RUN}}}")],
            Look(unit="short", decimals=0, thresholds=steps(GOOD, (3, CARE))),
        ),
        figure(
            "Steps done again",
            "Lost to stops, because they came after the newest checkpoint.",
            [Query(f"voxmill_train_lost_steps_total{{{RUN}}}")],
            Look(unit="short", decimals=0, thresholds=steps(GOOD, (500, CARE))),
        ),
    )
    wide = (
        lines(
            "Age of the newest checkpoint",
            "A saw: it grows until the next one is written. A tooth that keeps growing means "
            "that nothing is saved any more.",
            [Query(while_running(age), "{{run}}")],
            Look(unit="s", low=0, thresholds=steps(GOOD, (3600, BAD))),
        ),
        lines(
            "Writing a checkpoint",
            "Time that it takes, during which nothing is learned.",
            [Query(f"voxmill_checkpoint_seconds{{{RUN}}}", "{{run}}")],
            Look(unit="s", low=0),
        ),
        lines(
            "Backup",
            "Size of the verified copy.",
            [
                Query(f"voxmill_backup_bytes{{{RUN}}}", "{{run}}: bytes"),
            ],
            Look(unit="bytes", low=0, empty="no backup"),
        ),
    )
    return (
        *(Tile(panel, 6, 4) for panel in small),
        *(Tile(panel, 8, 7) for panel in wide),
    )
