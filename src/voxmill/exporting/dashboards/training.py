"""*Training*: one run. Healthy? When done? Backups good? Is the GPU earning its rent?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table

from voxmill.exporting.dashboards import alert_list, glance, learning, places, upkeep
from voxmill.exporting.dashboards.expressions import (
    ALERTS_OF_RUN,
    RUN,
    encoded,
    place_of_stages,
)
from voxmill.exporting.dashboards.frame import Band, Event, Frame, Tile, choice
from voxmill.exporting.dashboards.panels import Column, Look, Query, listing, timeline
from voxmill.exporting.dashboards.wording import BAD, BUSY, GOOD, STAGE_CODES, stage_words, steps
from voxmill.observability.labels import STAGES


def frame() -> Frame:
    """The dashboard."""
    runs = 'label_values(voxmill_run_state{recipe="$recipe"}, run)'
    return Frame(
        uid="voxmill-training",
        title="Training",
        description="One run: is it healthy, when is it done, are its backups good, is the GPU "
        "earning its rent?",
        variables=(
            choice("recipe", "Recipe", "label_values(voxmill_run_state, recipe)"),
            choice("run", "Run", runs, newest_first=True),
        ),
        links=(places.airflow_run(), places.report()),
        events=events(),
        bands=(
            Band("", glance.tiles()),
            Band("", (Tile(_stages(), 16, 8), Tile(alert_list.firing(ALERTS_OF_RUN), 8, 8))),
            Band("Learning", learning.main_tiles()),
            Band("Machine", upkeep.machine_tiles()),
            Band("Checkpoints, backup, stops", upkeep.safety_tiles()),
            Band("Learning in detail", learning.detail_tiles()),
            Band("Stages in figures", (Tile(_stage_table(), 24, 9),)),
        ),
    )


def events() -> tuple[Event, ...]:
    """Stage changes, evaluations and releases."""
    evaluated = f"voxmill_evaluation_seconds{{{RUN}}}"
    return (
        Event(
            name="Stages",
            expression=f"voxmill_stage_start_timestamp_seconds{{{RUN}}} * 1000",
            colour=BUSY,
            text="{{stage}} begins",
            value_is_time=True,
        ),
        Event(
            name="Evaluations",
            # The first one changes nothing: its series begins.
            expression=f"changes({evaluated}[1m]) > 0 or "
            f"({evaluated} unless last_over_time({evaluated}[6h] offset 1m))",
            colour="purple",
            text="evaluated on {{split}}",
        ),
        Event(
            name="Releases",
            expression='voxmill_release_timestamp_seconds{recipe="$recipe"} * 1000',
            colour=GOOD,
            text="{{version}} released",
            value_is_time=True,
        ),
    )


def _stages() -> statetimeline.Panel:
    return timeline(
        "Stages over time",
        "What each stage did when. A click leads to the run in Airflow.",
        [  # a query each, for Grafana shows them in the order in which they are asked for
            Query(
                encoded("voxmill_stage_state", f'{RUN},stage="{stage}"', STAGE_CODES, "stage"),
                "{{stage}}",
            )
            for stage in STAGES
        ],
        Look(unit="short", mappings=[stage_words()], links=[places.airflow_run()]),
    )


def _stage_table() -> table.Panel:
    taken = f"max by (stage) (voxmill_stage_seconds{{{RUN}}})"
    usual = f"max by (stage) (voxmill_stage_usual_seconds{{{RUN}}})"
    columns = (
        Column(title="#", expression=place_of_stages(), unit="short"),
        Column(
            title="State",
            expression=encoded("voxmill_stage_state", RUN, STAGE_CODES, "stage"),
            unit="short",
            mappings=[stage_words()],
            coloured=True,
        ),
        Column(title="Time", expression=taken, unit="s"),
        Column(title="Usual time", expression=usual, unit="s"),
        Column(
            title="Of the usual",
            expression=f"{taken} / {usual}",
            unit="percentunit",
            thresholds=steps(GOOD, (1.5, "orange"), (2.0, BAD)),
            coloured=True,
        ),
        Column(
            title="Tries",
            expression=f"max by (stage) (voxmill_stage_attempts{{{RUN}}})",
            unit="short",
        ),
        Column(
            title="Failed checks",
            expression=f'sum by (stage) (voxmill_stage_checks{{{RUN},verdict="failed"}})',
            unit="short",
            thresholds=steps(GOOD, (1, BAD)),
            coloured=True,
        ),
        Column(
            title="Peak memory",
            expression=f"max by (stage) (voxmill_stage_peak_memory_bytes{{{RUN}}})",
            unit="bytes",
        ),
    )
    return listing(
        "Stages",
        "Time against the median of this recipe's finished runs, tries, gates and memory.",
        columns,
        Look(unit="short", links=[places.airflow_run(), places.stage_report_of_row()]),
        sorted_by="#",
    )
