"""Pages as HTML: every value is escaped by the template engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import jinja2
from markupsafe import Markup

from voxmill.orchestration.report_pages_files import StageEntry
from voxmill.pipeline.gates import read_waivers
from voxmill.runs.run import Run, RunRecord

_BYTES = ("B", "kB", "MB", "GB", "TB")
_MINUTE, _HOUR = 60, 3600


def run_page(run: Run, stages: Sequence[StageEntry]) -> str:
    """A run: what made it special, and its stages.

    Args:
        run: A run on this machine.
        stages: Its stages in the order in which they run.
    """
    record = RunRecord.read(run.folder)
    waivers = [one for one in read_waivers(run.memory) if one.run == run.id]
    template = _templates().get_template("run.html.j2")
    return template.render(run=run, record=record, stages=stages, waivers=waivers)


def stage_page(run: Run, stage: str, report: Mapping[str, Any]) -> str:
    """A stage's report.

    Args:
        run: The run.
        stage: Name of the stage.
        report: All that report.json says.
    """
    template = _templates().get_template("stage.html.j2")
    return template.render(run=run, stage=stage, report=report, all_stages=tuple(run.stages))


def message_page(status: int, message: str) -> str:
    """An error: what it is, and the commands that help.

    Args:
        status: HTTP status.
        message: A sentence; lines after the first are commands.
    """
    said, *commands = message.splitlines() or [""]
    title = HTTPStatus(status).phrase
    template = _templates().get_template("message.html.j2")
    return template.render(status=status, title=title, said=said, commands=commands)


def document_page(title: str, markdown: str) -> str:
    """A text of the project; each heading can be linked to by its words.

    Args:
        title: For the window.
        markdown: Raw HTML in it stays text.
    """
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for heading, words in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(words.content))
            if words.content.isidentifier():  # an alert's name, which dashboards know as it is
                own = Token("html_inline", "", 0, content=f'<a id="{words.content}"></a>')
                words.children = [own, *(words.children or ())]
    body = Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 -- rendered above
    return _templates().get_template("document.html.j2").render(title=title, body=body)


def anchor(heading: str) -> str:
    """As forges name a heading: small letters, dashes for blanks."""
    kept = (sign for sign in heading.lower().strip("` ") if sign.isalnum() or sign in " -_")
    return "".join(kept).replace(" ", "-")


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("voxmill.orchestration", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": _value, "bytes": _size, "seconds": _duration}
    return environment


def _value(value: object) -> str:
    """A value of a report: numbers short, structures as JSON."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _size(count: float) -> str:
    for unit in _BYTES:
        if count < 1000 or unit == _BYTES[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
