"""Numbers into plain words and colours: value mappings and thresholds."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    RangeMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

GOOD, BUSY, CARE, BAD, IDLE = "green", "blue", "orange", "red", "gray"

RUN_CODES: Mapping[str, int] = {
    "running": 1,
    "waiting": 2,
    "stopped": 3,
    "failed": 4,
    "finished": 5,
    "released": 6,
}
STAGE_CODES: Mapping[str, int] = {
    "pending": 0,
    "running": 1,
    "done": 2,
    "not_applicable": 3,
    "failed": 4,
    "stopped": 5,
    "refused": 6,
}
_RUN_WORDS = {
    "running": ("running", BUSY),
    "waiting": ("waiting", CARE),
    "stopped": ("stopped", CARE),
    "failed": ("FAILED", BAD),
    "finished": ("finished", GOOD),
    "released": ("released", GOOD),
}
_STAGE_WORDS = {
    "pending": ("to come", "#3a3d45"),
    "running": ("running", BUSY),
    "done": ("done", GOOD),
    "not_applicable": ("not needed", "#5a5d66"),
    "failed": ("FAILED", BAD),
    "stopped": ("stopped", CARE),
    "refused": ("gate refused", BAD),
}


def words(texts: Mapping[int, tuple[str, str]]) -> ValueMap:
    """Shows a text and a colour in place of exact numbers."""
    return ValueMap(
        options={
            str(number): ValueMappingResult(text=text, color=colour, index=index)
            for index, (number, (text, colour)) in enumerate(texts.items())
        }
    )


def between(low: float | None, high: float | None, text: str, colour: str) -> RangeMap:
    """Shows a text and a colour in place of a range of numbers, both ends included."""
    result = ValueMappingResult(text=text, color=colour, index=0)
    return RangeMap(options=DashboardRangeMapOptions(from_val=low, to=high, result=result))


def run_words() -> ValueMap:
    """The states of a run; `expressions.encoded` with `RUN_CODES` gives the numbers."""
    return words({number: _RUN_WORDS[state] for state, number in RUN_CODES.items()})


def stage_words() -> ValueMap:
    """The states of a stage; `expressions.encoded` with `STAGE_CODES` gives the numbers."""
    return words({number: _STAGE_WORDS[state] for state, number in STAGE_CODES.items()})


def steps(first: str, *further: tuple[float, str]) -> ThresholdsConfig:
    """A colour from each value upwards, the first one from below everything."""
    found = [Threshold(value=None, color=first)]
    found += [Threshold(value=value, color=colour) for value, colour in further]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def error_rate_steps() -> ThresholdsConfig:
    """Colours of a word error rate, from good enough to hopeless."""
    return steps(GOOD, (0.15, "semi-dark-yellow"), (0.5, CARE), (0.95, BAD))
