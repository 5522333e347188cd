"""The report page: one self-contained HTML file that a person reads, prints and listens to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jinja2
from markupsafe import Markup

from voxmill.recipe.recipe import Recipe
from voxmill.stages.evaluation import formats
from voxmill.stages.evaluation.breakdown import Breakdown, break_down
from voxmill.stages.evaluation.charts import Chart, line_chart
from voxmill.stages.evaluation.curves import Series, of_metric
from voxmill.stages.evaluation.examples import Example
from voxmill.stages.evaluation.goals import Goal
from voxmill.stages.evaluation.lineage import Origin
from voxmill.stages.evaluation.results import Results
from voxmill.stages.stage import Check

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """Everything that stands on the page."""

    recipe: Recipe
    results: Results
    checks: tuple[Check, ...]
    series: tuple[Series, ...]
    examples: tuple[Example, ...]
    origins: tuple[Origin, ...]
    goals: tuple[Goal, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that stand in the way of a release."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def packaged(self) -> Origin | None:
        """The report of package, which dates the artefacts."""
        return next((origin for origin in self.origins if origin.stage == "package"), None)

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Loss and word error rate over the steps of training, as far as they were recorded."""
        loss = line_chart(
            "Loss",
            of_metric(self.series, "voxmill_train_loss", "voxmill_loss"),
            text=_plain,
            tick=_plain,
        )
        wer = line_chart(
            "Word error rate",
            of_metric(self.series, "wer_ratio"),
            text=formats.percent,
            tick=formats.tick_percent,
        )
        return tuple(chart for chart in (loss, wer) if chart)

    @cached_property
    def breakdowns(self) -> tuple[Breakdown, ...]:
        """The main artefact's errors, by test set."""
        return tuple(break_down(measurement) for measurement in self.results.main)

    @property
    def interval_scale(self) -> float:
        """The error rate at the right end of the interval bars."""
        return max(0.01, *(m.interval.high for m in self.results.measurements))


def render(page: ReportPage) -> str:
    """Writes the page as HTML.

    Every text is escaped by the template engine. A content security policy that knows the one
    script of ours by its hash keeps the page from running or fetching anything else, should a
    transcript ever find a hole.
    """
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            results=page.results,
            first=page.results.main[0],
            style=_trusted((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            script=_trusted(script),
            script_hash=digest,
        )
    )


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _trusted(text: str) -> Markup:
    return Markup(text)  # noqa: S704  (our own file, no data inside)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in _filters():
        environment.filters[function.__name__] = function
    return environment


def _filters() -> tuple[Callable[..., str], ...]:
    return (
        formats.percent,
        formats.whole,
        formats.size,
        formats.duration,
        formats.speed,
        formats.factor,
        formats.moment,
        formats.commit,
    )
