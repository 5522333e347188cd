"""*Fleet*: all recipes and runs, what they cost, and what waits."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from voxmill.exporting.dashboards import alert_list, places
from voxmill.exporting.dashboards.expressions import RECIPES, encoded, while_running
from voxmill.exporting.dashboards.frame import Band, Event, Frame, Tile, choice, text_box
from voxmill.exporting.dashboards.panels import (
    Column,
    Look,
    Query,
    bars,
    figure,
    lines,
    listing,
)
from voxmill.exporting.dashboards.wording import (
    BAD,
    BUSY,
    CARE,
    GOOD,
    IDLE,
    RUN_CODES,
    error_rate_steps,
    run_words,
    steps,
)

_GPU_HOURS = f"sum by (recipe) (voxmill_run_gpu_seconds{{{RECIPES}}}) / 3600"


def frame() -> Frame:
    """The dashboard."""
    return Frame(
        uid="voxmill-fleet",
        title="Fleet",
        description="All recipes and runs: what goes on, what waits, what it costs.",
        variables=(
            choice("recipes", "Recipes", "label_values(voxmill_recipe_runs, recipe)", several=True),
            text_box("price", "Price of a GPU-hour", "2.50"),
        ),
        links=(places.airflow(),),
        events=(
            Event(
                name="Releases",
                expression=f"voxmill_release_timestamp_seconds{{{RECIPES}}} * 1000",
                colour=GOOD,
                text="{{recipe}} {{version}} released",
                value_is_time=True,
            ),
        ),
        since="now-24h",
        bands=(
            Band("", _at_a_glance()),
            Band("", (Tile(_runs(), 24, 10),)),
            Band("", (Tile(alert_list.firing(), 12, 8), Tile(_queue(), 12, 8))),
            Band("Over time", _over_time()),
            Band("Costs", _costs()),
        ),
    )


def _at_a_glance() -> tuple[Tile, ...]:
    def count(state: str) -> list[Query]:
        return [Query(f'sum(voxmill_recipe_runs{{{RECIPES},state="{state}"}})')]

    look_good = Look(unit="short", decimals=0, thresholds=steps(IDLE, (1, BUSY)))
    look_bad = Look(unit="short", decimals=0, thresholds=steps(GOOD, (1, BAD)))
    look_care = Look(unit="short", decimals=0, thresholds=steps(GOOD, (1, CARE)))
    panels = (
        figure("Running", "Runs in which a job goes on.", count("running"), look_good),
        figure(
            "Waiting",
            "Runs between two stages, or for a person to approve a release.",
            count("waiting"),
            look_care,
        ),
        figure("Failed", "Runs that ended with a failed stage.", count("failed"), look_bad),
        figure("Stopped", "Runs that somebody stopped.", count("stopped"), look_care),
        figure(
            "Alerts firing",
            "Alerts that fire, of whatever kind. The list below names them.",
            [Query('count(ALERTS{alertstate="firing"}) or vector(0)')],
            look_bad,
        ),
        figure(
            "GPUs at work",
            "Of those that running stages asked for and those that answer, the mean use over "
            "five minutes.",
            [Query("avg(avg_over_time(voxmill_gpu_utilisation_ratio[5m]))")],
            Look(
                unit="percentunit",
                decimals=0,
                thresholds=steps(BAD, (0.3, CARE), (0.6, GOOD)),
                empty="no GPU",
            ),
        ),
        figure(
            "GPU-hours",
            "GPUs times hours of all runs that are still shown.",
            [Query(f"sum(voxmill_run_gpu_seconds{{{RECIPES}}}) / 3600")],
            Look(unit="suffix: h", decimals=1, thresholds=steps(BUSY)),
        ),
        figure(
            "Costs",
            "GPU-hours times the price above.",
            [Query(f"sum(voxmill_run_gpu_seconds{{{RECIPES}}}) / 3600 * $price")],
            Look(unit="currencyUSD", decimals=2, thresholds=steps(BUSY)),
        ),
    )
    return tuple(Tile(panel, 3, 4) for panel in panels)


def _runs() -> table.Panel:
    def of(expression: str) -> str:
        return f"max by (recipe, run) ({expression})"

    train = f"voxmill_train_step{{{RECIPES}}} / voxmill_train_total_steps{{{RECIPES}}}"
    age = f"time() - voxmill_checkpoint_timestamp_seconds{{{RECIPES}}}"
    columns = (
        Column(
            title="State",
            expression=encoded("voxmill_run_state", RECIPES, RUN_CODES, "recipe", "run"),
            unit="short",
            mappings=[run_words()],
            coloured=True,
        ),
        Column(
            title="Since",
            expression=of(f"time() - voxmill_run_start_timestamp_seconds{{{RECIPES}}}"),
            unit="s",
        ),
        Column(title="Trained", expression=of(train), unit="percentunit"),
        Column(
            title="Training done in",
            expression=of(while_running(f"voxmill_train_eta_seconds{{{RECIPES}}}", RECIPES)),
            unit="s",
        ),
        Column(
            title="Validation WER",
            expression=of(f'voxmill_wer_ratio{{{RECIPES},split="validation"}}'),
            unit="percentunit",
            thresholds=error_rate_steps(),
            coloured=True,
        ),
        Column(
            title="Newest checkpoint",
            expression=of(while_running(age, RECIPES)),
            unit="s",
            thresholds=steps(GOOD, (1800, CARE), (3600, BAD)),
            coloured=True,
        ),
        Column(
            title="Backup verified",
            expression=of(f"time() - voxmill_backup_verified_timestamp_seconds{{{RECIPES}}}"),
            unit="s",
            thresholds=steps(GOOD, (2 * 3600, CARE), (6 * 3600, BAD)),
            coloured=True,
        ),
        Column(
            title="GPU-hours",
            expression=of(f"voxmill_run_gpu_seconds{{{RECIPES}}} / 3600"),
            unit="suffix: h",
        ),
    )
    return listing(
        "Runs",
        "Those in which something goes on, and those that ended within the exporter's "
        "retention. A click leads to the run's own dashboard or its report.",
        columns,
        Look(unit="short", links=[places.training_of_row(), places.report_of_row()]),
        sorted_by="State",
    )


def _queue() -> table.Panel:
    columns = tuple(
        Column(
            title=title,
            expression=f"max by (pool) (airflow_pool_{slots})",
            unit="short",
            thresholds=limits,
            coloured=limits is not None,
        )
        for title, slots, limits in (
            ("Running", "running_slots", None),
            ("Queued", "queued_slots", steps(GOOD, (1, CARE))),
            ("Starving", "starving_tasks", steps(GOOD, (1, BAD))),
            ("Free", "open_slots", steps(CARE, (1, GOOD))),
        )
    )
    return listing(
        "Queue",
        "Slots of Airflow's pools: what runs, what waits, what is free.",
        columns,
        Look(unit="short", links=[places.airflow()], empty="Airflow says nothing"),
    )


def _over_time() -> tuple[Tile, ...]:
    panels = (
        lines(
            "Runs by state",
            "Of the recipes that are chosen.",
            [Query(f"sum by (state) (voxmill_recipe_runs{{{RECIPES}}})", "{{state}}")],
            Look(unit="short", low=0, decimals=0),
        ),
        lines(
            "Validation WER of all runs",
            "Word error rate while training.",
            [
                Query(
                    f'max by (recipe, run) (voxmill_wer_ratio{{{RECIPES},split="validation"}})',
                    "{{recipe}} {{run}}",
                )
            ],
            Look(unit="percentunit", low=0),
        ),
        lines(
            "Last run opened",
            "Time since a run of the recipe was last opened.",
            [
                Query(
                    f"time() - voxmill_recipe_last_run_timestamp_seconds{{{RECIPES}}}",
                    "{{recipe}}",
                )
            ],
            Look(unit="s", low=0),
        ),
    )
    return tuple(Tile(panel, 8, 8) for panel in panels)


def _costs() -> tuple[Tile, ...]:
    by_run = f"max by (recipe, run) (voxmill_run_gpu_seconds{{{RECIPES}}}) / 3600"
    panels = (
        bars(
            "GPU-hours by recipe",
            "GPUs times hours of the runs that are still shown.",
            [Query(_GPU_HOURS, "{{recipe}}")],
            Look(unit="suffix: h", decimals=1, low=0, thresholds=steps(BUSY)),
        ),
        bars(
            "The ten dearest runs",
            "GPU-hours of each.",
            [Query(f"topk(10, {by_run})", "{{recipe}} {{run}}")],
            Look(unit="suffix: h", decimals=1, low=0, thresholds=steps(BUSY)),
        ),
        lines(
            "GPU-hours over time",
            "A line that rises while nothing improves is wasted money.",
            [Query(_GPU_HOURS, "{{recipe}}")],
            Look(unit="suffix: h", low=0),
        ),
    )
    return tuple(Tile(panel, 8, 8) for panel in panels)
