"""What a finished run measured, read from its evaluate stage's metrics.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.errors import DataError

METRICS_FILE = "metrics.json"
_SIZES = "sizes"
"""The one key of metrics.json that is no test set."""


@dataclass(frozen=True, kw_only=True)
class ArtefactFigures:
    """One packaged artefact on one test set."""

    test_set: str
    artefact: str
    word_error_rate: float
    word_error_rate_low: float
    """Lower end of the 95 % interval; `_high` is the upper one."""
    word_error_rate_high: float
    character_error_rate: float
    real_time_factor: float
    """Seconds of computing for one second of speech."""
    utterances: int
    bytes: int


def read_figures(evaluated: Path) -> tuple[ArtefactFigures, ...]:
    """Every artefact on every test set, in the order of the file.

    Args:
        evaluated: Output folder of the stage evaluate.

    Raises:
        DataError: There is no metrics.json, or it lacks a figure.
    """
    path = evaluated / METRICS_FILE
    try:
        return parse_figures(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not there or lacks a figure: {error!r}. Measure again with "
            f"`voxmill resume ID --force evaluate`."
        ) from error


def parse_figures(metrics: Mapping[str, Any]) -> tuple[ArtefactFigures, ...]:
    """Every artefact on every test set, in the order of the metrics; none where there are none.

    Args:
        metrics: What metrics.json holds; the tag of a release holds the same.

    Raises:
        KeyError: A figure is missing.
    """
    sizes = metrics[_SIZES] if metrics else {}
    return tuple(
        _figures(test_set, artefact, values, sizes[artefact])
        for test_set, artefacts in metrics.items()
        if test_set != _SIZES
        for artefact, values in artefacts.items()
    )


def _figures(
    test_set: str, artefact: str, values: dict[str, Any], size_bytes: int
) -> ArtefactFigures:
    return ArtefactFigures(
        test_set=test_set,
        artefact=artefact,
        word_error_rate=values["wer"],
        word_error_rate_low=values["wer_low"],
        word_error_rate_high=values["wer_high"],
        character_error_rate=values["cer"],
        real_time_factor=values["real_time_factor"],
        utterances=values["utterances"],
        bytes=size_bytes,
    )
