"""*Releases*: error rate, speed and size over versions; champion against challenger."""

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, stat, table

from voxmill.exporting.dashboards import places
from voxmill.exporting.dashboards.frame import Band, Event, Frame, Tile, choice
from voxmill.exporting.dashboards.panels import Column, Look, Query, columns_by, figure, listing
from voxmill.exporting.dashboards.wording import (
    BAD,
    BUSY,
    CARE,
    GOOD,
    IDLE,
    error_rate_steps,
    steps,
)

_FIGURE = 'recipe="$recipe",split="$split",artefact="$artefact"'
_SIZE = 'recipe="$recipe",artefact="$artefact"'

_ORDER = (
    'max by (version) (voxmill_release_timestamp_seconds{recipe="$recipe"}) or '
    f"(0 * max by (version) (voxmill_release_wer_ratio{{{_FIGURE}}}) + time())"
)
"""The oldest first; a challenger, which has no date yet, last."""


def frame() -> Frame:
    """The dashboard."""
    splits = 'label_values(voxmill_release_wer_ratio{recipe="$recipe"}, split)'
    artefacts = 'label_values(voxmill_release_wer_ratio{recipe="$recipe"}, artefact)'
    return Frame(
        uid="voxmill-releases",
        title="Releases",
        description="Packaged files as they were measured: over versions, and champion against "
        "challenger.",
        variables=(
            choice("recipe", "Recipe", "label_values(voxmill_release_timestamp_seconds, recipe)"),
            choice("split", "Test set", splits),
            choice("artefact", "Artefact", artefacts),
        ),
        links=(places.airflow(),),
        events=(
            Event(
                name="Releases",
                expression='voxmill_release_timestamp_seconds{recipe="$recipe"} * 1000',
                colour=GOOD,
                text="{{version}} released",
                value_is_time=True,
            ),
        ),
        since="now-30d",
        bands=(
            Band("", _at_a_glance()),
            Band("Over versions", _over_versions()),
            Band("Every figure", (Tile(_table(), 24, 10),)),
        ),
    )


def _of(metric: str, role: str, selector: str = _FIGURE) -> str:
    return f'max(voxmill_release_{metric}{{{selector},role="{role}"}})'


def _difference(metric: str, selector: str = _FIGURE) -> str:
    """How far the challenger is from the champion, as a share of the champion's figure."""
    champion, challenger = _of(metric, "champion", selector), _of(metric, "challenger", selector)
    return f"({challenger} - {champion}) / {champion}"


def _at_a_glance() -> tuple[Tile, ...]:
    panels = (
        figure(
            "Champion in use for",
            "The version that is released, and for how long it has been.",
            [
                Query(
                    "time() - max by (version) (voxmill_release_timestamp_seconds"
                    '{recipe="$recipe",role="champion"})',
                    "{{version}}",
                )
            ],
            Look(unit="s", decimals=0, thresholds=steps(GOOD), empty="none yet"),
        ),
        _role("Champion's WER", "champion", "The version in use, on this test set."),
        _role("Challenger's WER", "challenger", "The newest finished run that is not in use."),
        _against("Challenger: WER", "wer_ratio"),
        _against("Challenger: time", "real_time_ratio"),
        _against("Challenger: size", "artefact_bytes", _SIZE),
    )
    return tuple(Tile(panel, 4, 4) for panel in panels)


def _role(title: str, role: str, description: str) -> stat.Panel:
    return figure(
        title,
        description,
        [Query(_of("wer_ratio", role))],
        Look(unit="percentunit", decimals=2, thresholds=error_rate_steps(), empty="none yet"),
    )


def _against(title: str, metric: str, selector: str = _FIGURE) -> stat.Panel:
    return figure(
        title,
        "Against the champion: below zero it is better, above five percent it should not be "
        "released.",
        [Query(_difference(metric, selector))],
        Look(
            unit="percentunit",
            decimals=1,
            thresholds=steps(GOOD, (0.0001, CARE), (0.05, BAD)),
            empty="no challenger",
        ),
    )


def _over_versions() -> tuple[Tile, ...]:
    panels = (
        _bars(
            "Word error rate",
            "Of each version on this test set, as packaged, the oldest first.",
            "wer_ratio",
            Look(unit="percentunit", decimals=2, low=0, thresholds=error_rate_steps()),
        ),
        _bars(
            "Character error rate",
            "Of each version on this test set, as packaged, the oldest first.",
            "cer_ratio",
            Look(unit="percentunit", decimals=2, low=0, thresholds=error_rate_steps()),
        ),
        _bars(
            "Real-time ratio",
            "Seconds of computing for one second of speech; above 1 it cannot keep up.",
            "real_time_ratio",
            Look(unit="short", decimals=4, low=0, thresholds=steps(GOOD, (0.3, CARE), (1, BAD))),
        ),
        _bars(
            "Size",
            "Of the artefact, of each version, the oldest first.",
            "artefact_bytes",
            Look(unit="bytes", low=0, thresholds=steps(BUSY)),
            selector=_SIZE,
        ),
    )
    return tuple(Tile(panel, 6, 10) for panel in panels)


def _bars(
    title: str, description: str, metric: str, look: Look, *, selector: str = _FIGURE
) -> barchart.Panel:
    return columns_by(
        title,
        description,
        f"max by (version) (voxmill_release_{metric}{{{selector}}})",
        _ORDER,
        look,
        label="version",
    )


def _table() -> table.Panel:
    def of(metric: str) -> str:
        labels = "version, role, split, artefact"
        return f'max by ({labels}) (voxmill_release_{metric}{{recipe="$recipe"}})'

    columns = (
        Column(
            title="WER",
            expression=of("wer_ratio"),
            unit="percentunit",
            thresholds=error_rate_steps(),
            coloured=True,
        ),
        Column(title="CER", expression=of("cer_ratio"), unit="percentunit"),
        Column(title="Real-time ratio", expression=of("real_time_ratio"), unit="short"),
    )
    return listing(
        "Versions",
        "All test sets and artefacts of the newest versions.",
        columns,
        Look(unit="short", thresholds=steps(IDLE)),
    )
