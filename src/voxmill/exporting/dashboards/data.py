"""*Data*: hours, rejects, balance and gates of a run."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from voxmill.exporting.dashboards import places
from voxmill.exporting.dashboards.expressions import RECIPE, RUN, encoded, place_of_stages
from voxmill.exporting.dashboards.frame import Band, Event, Frame, Tile, choice
from voxmill.exporting.dashboards.panels import Column, Look, Query, bars, figure, lines, listing
from voxmill.exporting.dashboards.wording import (
    BAD,
    BUSY,
    CARE,
    GOOD,
    STAGE_CODES,
    stage_words,
    steps,
    words,
)

_UTTERANCES = f"voxmill_dataset_utterances{{{RUN}}}"
_REJECTED = f"sum(voxmill_dataset_rejected_files{{{RUN}}}) or vector(0)"


def frame() -> Frame:
    """The dashboard."""
    runs = 'label_values(voxmill_dataset_seconds{recipe="$recipe"}, run)'
    return Frame(
        uid="voxmill-data",
        title="Data",
        description="What a run learns from: hours, what was left out and why, balance of the "
        "splits, gates.",
        variables=(
            choice("recipe", "Recipe", "label_values(voxmill_dataset_seconds, recipe)"),
            choice("run", "Run", runs, newest_first=True),
        ),
        events=(
            Event(
                name="Stages",
                expression=f"voxmill_stage_start_timestamp_seconds{{{RUN}}} * 1000",
                colour=BUSY,
                text="{{stage}} begins",
                value_is_time=True,
            ),
        ),
        since="now-24h",
        bands=(
            Band("", _at_a_glance()),
            Band("Splits", _splits()),
            Band("What was left out", _rejects()),
            Band("Gates", (Tile(_gates(), 16, 9), Tile(_goals(), 8, 9))),
            Band("From run to run", _history()),
        ),
    )


def _at_a_glance() -> tuple[Tile, ...]:
    hours = f"sum(voxmill_dataset_seconds{{{RUN}}}) / 3600"
    failed = f'sum(voxmill_stage_checks{{{RUN},verdict="failed"}}) or vector(0)'
    waived = f'sum(voxmill_stage_checks{{{RUN},verdict="waived"}}) or vector(0)'
    panels = (
        figure(
            "Speech",
            "Hours in all splits together.",
            [Query(hours)],
            Look(unit="suffix: h", decimals=2, thresholds=steps(BUSY)),
        ),
        figure(
            "Utterances",
            "In all splits together.",
            [Query(f"sum({_UTTERANCES})")],
            Look(unit="short", thresholds=steps(BUSY)),
        ),
        figure(
            "Mean length",
            "Of an utterance, over all splits.",
            [Query(f"sum(voxmill_dataset_seconds{{{RUN}}}) / sum({_UTTERANCES})")],
            Look(unit="s", decimals=1, thresholds=steps(BUSY)),
        ),
        figure(
            "Left out",
            "Share of the files or utterances that were rejected, of all that came in.",
            [Query(f"({_REJECTED}) / (({_REJECTED}) + sum({_UTTERANCES}))")],
            Look(
                unit="percentunit",
                decimals=2,
                thresholds=steps(GOOD, (0.02, CARE), (0.1, BAD)),
            ),
        ),
        figure(
            "Failed checks",
            "Checks of any stage that failed and that nobody waived.",
            [Query(failed)],
            Look(unit="short", mappings=[words({0: ("none", GOOD)})], thresholds=steps(BAD)),
        ),
        figure(
            "Waived checks",
            "Checks that failed and that a person let pass, by name and with a reason.",
            [Query(waived)],
            Look(unit="short", mappings=[words({0: ("none", GOOD)})], thresholds=steps(CARE)),
        ),
    )
    return tuple(Tile(panel, 4, 4) for panel in panels)


def _splits() -> tuple[Tile, ...]:
    panels = (
        bars(
            "Hours by split",
            "Speech in each split.",
            [Query(f"sum by (split) (voxmill_dataset_seconds{{{RUN}}}) / 3600", "{{split}}")],
            Look(unit="suffix: h", decimals=2, low=0, thresholds=steps(BUSY)),
        ),
        bars(
            "Utterances by split",
            "Below some hundreds a test set's WER is a guess: its interval is wide.",
            [Query(f"sum by (split) ({_UTTERANCES})", "{{split}}")],
            Look(unit="short", low=0, thresholds=steps(CARE, (200, BUSY))),
        ),
        bars(
            "Balance",
            "Share of the speech that each split has.",
            [
                Query(
                    f"sum by (split) (voxmill_dataset_seconds{{{RUN}}}) / on () group_left () "
                    f"sum(voxmill_dataset_seconds{{{RUN}}})",
                    "{{split}}",
                )
            ],
            Look(unit="percentunit", decimals=1, low=0, high=1, thresholds=steps(BUSY)),
        ),
    )
    return tuple(Tile(panel, 8, 7) for panel in panels)


def _rejects() -> tuple[Tile, ...]:
    by_reason = f"sum by (reason) (voxmill_dataset_rejected_files{{{RUN}}})"
    panels = (
        bars(
            "Left out by reason",
            "Files or utterances; the audit's report names each of them.",
            [Query(f"sort_desc({by_reason})", "{{reason}}")],
            Look(
                unit="short",
                low=0,
                thresholds=steps(GOOD, (1, CARE)),
                links=[places.stage_report("Report of the audit", "audit")],
                empty="nothing was left out",
            ),
        ),
        lines(
            "Left out in training",
            "Utterances too long for a batch, and infinite losses, by run of this recipe.",
            [
                Query(f"voxmill_train_skipped_utterances{{{RECIPE}}}", "{{run}}: too long"),
                Query(f"voxmill_infinite_losses{{{RECIPE}}}", "{{run}}: infinite on {{split}}"),
            ],
            Look(unit="short", low=0, decimals=0),
        ),
    )
    return tuple(Tile(panel, 12, 8) for panel in panels)


def _gates() -> table.Panel:
    state = encoded("voxmill_stage_state", RUN, STAGE_CODES, "stage")
    columns = (
        Column(title="#", expression=place_of_stages(), unit="short"),
        Column(
            title="State", expression=state, unit="short", mappings=[stage_words()], coloured=True
        ),
        *(
            Column(
                title=verdict.capitalize(),
                expression=f'sum by (stage) (voxmill_stage_checks{{{RUN},verdict="{verdict}"}})',
                unit="short",
                thresholds=limits,
                coloured=limits is not None,
            )
            for verdict, limits in (
                ("passed", None),
                ("failed", steps(GOOD, (1, BAD))),
                ("waived", steps(GOOD, (1, CARE))),
            )
        ),
    )
    return listing(
        "Gates",
        "Checks of each stage. Behind a failed one the next stage refuses to start.",
        columns,
        Look(unit="short", links=[places.stage_report_of_row()]),
        sorted_by="#",
    )


def _goals() -> table.Panel:
    column = Column(
        title="Goal",
        expression=f"max by (split, figure) (voxmill_goal_reached{{{RUN}}})",
        unit="short",
        mappings=[words({0: ("not yet", CARE), 1: ("reached", GOOD)})],
        coloured=True,
    )
    return listing(
        "Goals",
        "What the recipe hopes for of each test set, as packaged. Nothing waits for a goal.",
        (column,),
        Look(unit="short", links=[places.report()], empty="no goals"),
    )


def _history() -> tuple[Tile, ...]:
    panels = (
        lines(
            "Hours by run",
            "Speech of each run of this recipe: it should grow.",
            [
                Query(
                    f"sum by (run) (voxmill_dataset_seconds{{{RECIPE}}}) / 3600",
                    "{{run}}",
                )
            ],
            Look(unit="suffix: h", low=0),
        ),
        lines(
            "Left out by run",
            "Files or utterances of each run of this recipe: it should not grow.",
            [Query(f"sum by (run) (voxmill_dataset_rejected_files{{{RECIPE}}})", "{{run}}")],
            Look(unit="short", low=0, decimals=0),
        ),
    )
    return tuple(Tile(panel, 12, 8) for panel in panels)
