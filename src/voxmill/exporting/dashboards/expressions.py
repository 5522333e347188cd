"""Pieces of PromQL that several panels are made of."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.observability.labels import STAGES

RUN = 'recipe="$recipe",run="$run"'
"""Selects the run that is looked at."""
RECIPE = 'recipe="$recipe"'
"""Selects all runs of the recipe that is looked at."""
RECIPES = 'recipe=~"$recipes"'
"""Selects the runs of the recipes that are looked at.

Another variable than `recipe`: links carry variables along, and "all" is no recipe elsewhere.
"""


ALERTS = 'ALERTS{alertstate="firing"}'
"""All alerts that fire."""
ALERTS_OF_RUN = (
    f'ALERTS{{alertstate="firing",{RUN}}} or ALERTS{{alertstate="firing",recipe="",run=""}} '
    f'and on (instance) (voxmill_run_state{{{RUN},state="running"}} == 1)'
)
"""Those that fire for the run and, while it goes on, for the machine that it is on."""


def encoded(metric: str, selector: str, codes: Mapping[str, int], *by: str) -> str:
    """One number for the state that holds, of a metric with a series for each state.

    Grafana colours numbers, not labels; the words come back through value mappings.

    Args:
        metric: Name of a metric with the label `state`, 1 for the state that holds.
        selector: Further matchers.
        codes: Number by state.
        by: Labels that the result keeps.
    """
    grouping = f"by ({', '.join(by)}) " if by else ""
    parts = [
        f'{number} * max {grouping}({metric}{{{selector},state="{state}"}} == 1)'
        for state, number in codes.items()
    ]
    return " or ".join(parts)


def place_of_stages() -> str:
    """The number of each stage in the pipeline, by the label `stage`: tables are sorted by it."""
    return " or ".join(
        f'label_replace(vector({number}), "stage", "{stage}", "", "")'
        for number, stage in enumerate(STAGES, start=1)
    )


def while_running(expression: str, selector: str = RUN, *, on: str = "recipe, run") -> str:
    """Only as long as the run goes on: an age or an ETA says nothing of a run that ended."""
    return f'({expression}) and on ({on}) (voxmill_run_state{{{selector},state="running"}} == 1)'


def on_its_machine(expression: str) -> str:
    """Only what is said by the exporter that tells of the run: other machines have other GPUs."""
    return f"{expression} and on (instance) voxmill_run_gpus{{{RUN}}}"


def age_seconds(metric: str, selector: str = RUN) -> str:
    """Time since a timestamp."""
    return f"time() - {metric}{{{selector}}}"
