"""A run as a person sees it in the terminal: one picture, or one plain line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from voxmill.exporting.gpus import GpuReading
from voxmill.exporting.run_view import JournalView, RunView, StageView

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_COLOURS = {
    "running": "cyan",
    "done": "green",
    "finished": "green",
    "released": "green",
    "failed": "bold red",
    "refused": "bold red",
    "stopped": "yellow",
    "waiting": "yellow",
}
_SIGNS = {"done": "✓", "running": "▶", "failed": "✗", "refused": "✗", "stopped": "■"}
_GIB = 2**30
_BAR_WIDTH = 28


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is shown."""

    view: RunView
    log: Sequence[str] = ()
    """The last lines of the newest stage's log."""
    gpus: Sequence[GpuReading] = ()
    now: float
    """Seconds since 1970."""


def picture(scene: Scene) -> RenderableType:
    """The run with its stages, figures, GPUs and log."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    view = scene.view
    parts: list[RenderableType] = [_stages(view)]
    figures = _figures(scene)
    if figures.row_count:
        parts += [Text(), figures]
    if scene.gpus:
        parts += [Text(), *(_gpu(gpu) for gpu in scene.gpus)]
    if scene.log:
        parts += [Text(), *(Text(line, style="dim", no_wrap=True) for line in scene.log)]
    return Panel(
        Group(*parts),
        title=_title(view),
        title_align="left",
        subtitle=_since(view, scene.now),
        subtitle_align="right",
        border_style=_COLOURS.get(view.state, ""),
        padding=(0, 1),
    )


def plain_line(scene: Scene) -> str:
    """State, stage and newest figures in one line, for files and pipes."""
    view = scene.view
    clock = datetime.fromtimestamp(scene.now).astimezone().strftime("%H:%M:%S")
    words = [clock, f"{view.recipe}/{view.id}", view.state]
    stage = view.running_stage or _last_begun(view)
    if stage is not None:
        words.append(f"{stage.name} {stage.state.replace('_', ' ')}")
    if stage is not None and stage.name == "train":
        words += [f"{name} {value}" for name, value in _told(view.journal, scene.now)]
    return "  ".join(words)


def change_mark(view: RunView) -> object:
    """Equal as long as there is nothing new to tell: state, stages, evaluations."""
    evaluated = [n.step for (name, _), n in view.journal.newest.items() if name == "voxmill_loss"]
    return (view.state, tuple(stage.state for stage in view.stages), tuple(evaluated))


def clock_time(seconds: float) -> str:
    """`3 s`, `2:05`, `1:02:05`, `3 d 04:10`; `-` where it is not known."""
    if not math.isfinite(seconds):
        return "-"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, day_hours = divmod(hours, 24)
    if days:
        return f"{days} d {day_hours:02}:{minutes:02}"
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def _title(view: RunView) -> Text:
    from rich.text import Text

    title = Text(f" {view.recipe}/{view.id} ", style="bold")
    title.append(f"{view.state} ", style=_COLOURS.get(view.state, ""))
    return title


def _since(view: RunView, now: float) -> str:
    if view.ended is not None:
        return f" took {clock_time(view.ended - view.opened)} "
    return f" opened {clock_time(now - view.opened)} ago "


def _stages(view: RunView) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for stage in view.stages:
        colour = _COLOURS.get(stage.state, "dim")
        state = "restored" if stage.restored else stage.state.replace("_", " ")
        table.add_row(
            Text(f"{_SIGNS.get(stage.state, '·')} {stage.name}", style=colour),
            Text(state, style=colour),
            "" if stage.restored or stage.seconds is None else clock_time(stage.seconds),
            _remark(stage, view.journal),
        )
    return table


def _remark(stage: StageView, journal: JournalView) -> RenderableType:
    from rich.text import Text

    failed, waived = stage.checks.get("failed", 0), stage.checks.get("waived", 0)
    if stage.state == "running" and stage.name == "train":
        return _progress(journal)
    if failed:
        return Text(f"{failed} failed check{'s' * (failed > 1)}", style="bold red")
    if waived:
        return Text(f"{waived} waived", style="yellow")
    return Text(f"try {stage.attempts}" if stage.attempts > 1 else "", style="dim")


def _progress(journal: JournalView) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    step, total = journal.value("voxmill_train_step"), journal.value("voxmill_train_total_steps")
    if not step or not total:
        return ""
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(total=total, completed=min(step, total), width=_BAR_WIDTH),
        f"{step / total:.0%}",
    )
    return row


def _figures(scene: Scene) -> Table:
    from rich.table import Table
    from rich.text import Text

    pairs = list(_told(scene.view.journal, scene.now))
    table = Table.grid(padding=(0, 1, 0, 2))
    half = (len(pairs) + 1) // 2
    for first, second in zip(pairs[:half], [*pairs[half:], ("", "")], strict=False):
        cells = [(Text(name, style="dim"), Text(value)) for name, value in (first, second)]
        table.add_row(*cells[0], Text("   "), *cells[1])
    return table


def _told(journal: JournalView, now: float) -> Iterator[tuple[str, str]]:
    """Names and values of what training says; what it does not say is left out."""
    value = journal.value
    step, total = value("voxmill_train_step"), value("voxmill_train_total_steps")
    if step is None:
        return
    yield "step", f"{step:.0f}" + (f"/{total:.0f}" if total else "")
    texts = (
        ("epoch", value("voxmill_train_epoch"), _decimals),
        ("ETA", value("voxmill_train_eta_seconds"), clock_time),
        ("loss", value("voxmill_train_loss"), _significant),
        ("validation loss", value("voxmill_loss", split="validation"), _significant),
        ("WER", value("voxmill_wer_ratio", split="validation"), _percent),
        ("learning rate", value("voxmill_train_learning_rate"), _significant),
        ("speech a second", value("voxmill_train_audio_seconds_per_second"), _whole_seconds),
        ("waiting for data", value("voxmill_train_data_wait_ratio"), _percent),
    )
    for name, number, text in texts:
        if number is not None:
            yield name, text(number)
    saved = journal.newest.get(("voxmill_checkpoint_step", ()))
    if saved is not None:
        yield "checkpoint", f"step {saved.value:.0f}, {clock_time(now - saved.time)} ago"
    if journal.restarts:
        yield "restarts", f"{journal.restarts}, {journal.lost_steps} steps done again"


def _gpu(gpu: GpuReading) -> Text:
    from rich.text import Text

    if not gpu.up:
        return Text(f"GPU {gpu.index}  does not answer", style="bold red")
    used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
    parts = [
        "" if gpu.utilisation is None else f"{gpu.utilisation:.0%}",
        "" if used is None or total is None else f"{used / _GIB:.1f}/{total / _GIB:.0f} GiB",
        "" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius:.0f} °C",
        "" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
        f"{gpu.xid_errors} XID errors" if gpu.xid_errors else "",
    ]
    return Text(f"GPU {gpu.index}  " + "  ".join(part for part in parts if part))


def _last_begun(view: RunView) -> StageView | None:
    begun = [stage for stage in view.stages if stage.state not in {"pending", "not_applicable"}]
    return begun[-1] if begun else None


def _decimals(value: float) -> str:
    return f"{value:.2f}"


def _significant(value: float) -> str:
    return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _whole_seconds(value: float) -> str:
    return f"{value:.0f} s"
