"""`voxmill runs` and `voxmill show RUN`: what there is, and how far it has come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from voxmill.orchestration.figures import ArtefactFigures
    from voxmill.runs.run import Run

_GOES_ON, _UNKNOWN, _INTERRUPTED = "job goes on", "no worker", "interrupted"
_COLOURS = {"failed": "red", "passed": "green", "finished": "green"}
_COLOURS |= {"running": "cyan", _GOES_ON: "cyan"}
_ADVICE = {
    _GOES_ON: "its worker is gone, its job goes on: voxmill resume {id} attaches to it",
    _UNKNOWN: "its worker is gone, its container may go on: voxmill resume {id} attaches to it, "
    "or starts it again",
    _INTERRUPTED: "its worker is gone, and no job runs any more: voxmill resume {id} goes on",
}
"""What to do where a stage was started and no worker is there to see its end."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(runs)
    app.command()(show)


def runs(
    recipe: Annotated[str | None, typer.Argument(help="Only this recipe's.")] = None,
) -> None:
    """Lists the runs on this machine, the newest last."""
    from rich.console import Console
    from rich.table import Table

    from voxmill.runs.project import Project
    from voxmill.runs.run import list_runs

    project = Project.find(Path.cwd(), os.environ)
    found = list_runs(project, recipe)
    console = Console()
    if not found:
        console.print(f"No runs in {project.runs}. Start one: voxmill run RECIPE", soft_wrap=True)
        return
    table = Table(box=None)
    for heading in ("recipe", "id", "state", "last stage", "verdict"):
        table.add_column(heading, overflow="fold")
    for heading in ("WER", "age"):
        table.add_column(heading, justify="right")
    states = [_state(run) for run in found]
    for run, state in zip(found, states, strict=True):
        table.add_row(*_row(run, state))
    console.print(table)
    for run, state in zip(found, states, strict=True):
        if state in _ADVICE:
            advice = f"{run.recipe}/{run.id}: {_ADVICE[state].format(id=run.id)}"
            console.print(advice, soft_wrap=True, highlight=False, markup=False)


def show(name: Annotated[str, typer.Argument(metavar="RUN", help="ID, or RECIPE/ID.")]) -> None:
    """Shows a run: its stages, checks, figures and where everything lies."""
    from rich.console import Console

    from voxmill.runs.project import Project
    from voxmill.runs.run import RunRecord, find_run

    run = find_run(Project.find(Path.cwd(), os.environ), name)
    record = RunRecord.read(run.folder)
    console = Console()
    state = _state(run)
    console.print(f"[bold]{run.recipe}/{run.id}[/]: {_coloured(state)}", highlight=False)
    if state in _ADVICE:
        advice = f"  {_ADVICE[state].format(id=run.id)}"
        console.print(advice, soft_wrap=True, highlight=False, markup=False)
    console.print(f"opened by {record.user}, {record.created}", highlight=False, markup=False)
    for key, value in record.overrides.items():
        console.print(f"  {key} = {value}", highlight=False, markup=False)
    for path in record.dirty:
        console.print(f"  uncommitted when it began: {path}", highlight=False, markup=False)
    for table in (_stages_table(run), _checks_table(run), figures_table(run)):
        if table is not None:
            console.print(table)
    for line in _places(run):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def figures_table(run: Run) -> Table | None:
    """What the packaged artefacts reached on the test sets; None before they were measured."""
    from voxmill.errors import DataError
    from voxmill.orchestration.figures import read_figures

    try:
        return artefacts_table(read_figures(run.output("evaluate")), "Packaged artefacts")
    except DataError:
        return None


def artefacts_table(figures: Sequence[ArtefactFigures], title: str) -> Table:
    """What packaged artefacts reached on the test sets."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None)
    for heading in ("test set", "artefact"):
        table.add_column(heading)
    for heading in ("WER", "95 %", "CER", "RTF", "size"):
        table.add_column(heading, justify="right")
    for one in figures:
        table.add_row(
            f"{one.test_set} ({one.utterances})",
            one.artefact,
            f"{one.word_error_rate:.2%}",
            f"{one.word_error_rate_low:.2%} - {one.word_error_rate_high:.2%}",
            f"{one.character_error_rate:.2%}",
            f"{one.real_time_factor:.4f}",
            f"{one.bytes / 1e6:.2f} MB",
        )
    return table


def _row(run: Run, state: str) -> list[str]:
    from voxmill.runs.run import RunRecord
    from voxmill.runs.state import read_state

    records = read_state(run.folder)
    last = next(reversed(records), "")
    verdict = records[last].verdict if last else ""
    age = datetime.now(UTC) - datetime.fromisoformat(RunRecord.read(run.folder).created)
    return [
        run.recipe,
        run.id,
        _coloured(state),
        last,
        _coloured(verdict),
        _word_error_rate(run),
        _age(age.total_seconds()),
    ]


def _state(run: Run) -> str:
    """`running`, `finished`, how the last stage ended, or what became of it without a worker."""
    from voxmill.launchers.jobs import JobFiles
    from voxmill.runs.state import DONE, read_state
    from voxmill.runs.worker_lock import is_held

    state = read_state(run.folder)
    if is_held(run):
        return "running"
    if all(stage in state and state[stage].outcome in DONE for stage in run.stages):
        return "finished"
    for stage, record in state.items():
        if record.outcome == "started":
            files = JobFiles(run.folder / "work" / run.recipe, stage)
            words = {True: _GOES_ON, False: _INTERRUPTED, None: _UNKNOWN}
            return words[files.goes_on(record.attempt)]
        if record.outcome not in DONE:
            return record.outcome
    return "open"


def _word_error_rate(run: Run) -> str:
    """Of the main artefact, on the test set where it is worst."""
    from voxmill.errors import VoxmillError
    from voxmill.orchestration.figures import read_figures
    from voxmill.pipeline.recipe_file import read_recipe_file

    try:
        figures = read_figures(run.output("evaluate"))
        section = read_recipe_file(run.recipe_file).get("evaluate") or {}
    except VoxmillError:
        return ""
    main = [one for one in figures if one.artefact == section.get("main_artefact")] or figures
    return f"{max(one.word_error_rate for one in main):.2%}" if main else ""


def _stages_table(run: Run) -> Table:
    from rich.table import Table

    from voxmill.runs.state import read_state

    table = Table(title="Stages", title_justify="left", box=None)
    for heading in ("stage", "state", "verdict"):
        table.add_column(heading)
    for heading in ("seconds", "tries"):
        table.add_column(heading, justify="right")
    state = read_state(run.folder)
    for stage in run.stages:
        record = state.get(stage)
        if record is None:
            table.add_row(stage, "[dim]not yet[/]", "", "", "")
        else:
            tries = str(record.attempt or "")
            seconds = f"{record.seconds:.1f}" if record.seconds else ""
            table.add_row(
                stage, _coloured(record.outcome), _coloured(record.verdict), seconds, tries
            )
    return table


def _checks_table(run: Run) -> Table | None:
    from rich.markup import escape
    from rich.table import Table

    from voxmill.errors import DataError
    from voxmill.pipeline.gates import read_waivers
    from voxmill.pipeline.report import read_report

    waived = {waiver.check for waiver in read_waivers(run.memory) if waiver.run == run.id}
    table = Table(title="Checks", title_justify="left", box=None)
    for heading in ("check", "value", "limit", "", "what to do"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "check")
    for stage in run.stages:
        try:
            report = read_report(run.output(stage))
        except DataError:
            continue
        for check in report.checks:
            name = check.name if check.name.startswith(f"{stage}.") else f"{stage}.{check.name}"
            verdict = "passed" if check.passed else "waived" if name in waived else "failed"
            advice = "" if check.passed else check.help
            value = f"{check.value:.4g}" if isinstance(check.value, float) else check.value
            # Escaped: Rich would take the `[test]` of a check's name for its own markup.
            texts = [escape(text) for text in (name, str(value), check.limit, advice)]
            table.add_row(*texts[:3], _coloured(verdict), texts[3])
    return table if table.row_count else None


def _places(run: Run) -> list[str]:
    places = {
        "clone": run.folder,
        "recipe": run.recipe_file,
        "artifacts": run.folder / "artifacts" / run.recipe,
        "report": run.output("evaluate") / "index.html",
        "logs": run.folder / "work" / run.recipe / "logs",
    }
    return [f"{name:<9} {path}" for name, path in places.items() if path.exists()] + [
        f"{'branch':<9} {run.branch}"
    ]


def _coloured(word: str) -> str:
    colour = _COLOURS.get(word)
    text = word.replace("_", " ")
    return f"[{colour}]{text}[/]" if colour else text


def _age(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
