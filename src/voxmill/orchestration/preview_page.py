"""What a person reads before a release: this version's figures beside the champion's."""

from __future__ import annotations

from collections.abc import Iterator

from voxmill.orchestration.figures import ArtefactFigures
from voxmill.orchestration.links import report_path
from voxmill.orchestration.markdown import table
from voxmill.orchestration.worker import ReleasePreview

_HEADINGS = ("test set", "artefact", "version", "WER", "95 % interval", "CER", "RTF", "size")
_NUMBERS = (3, 4, 5, 6, 7)


def preview_subject(recipe: str, preview: ReleasePreview) -> str:
    """One line: `digits: release v0.1.3 in place of v0.1.2?`."""
    instead = f" in place of {preview.champion}" if preview.champion else ", the first version"
    return f"{recipe}: release {preview.version}{instead}?"


def preview_page(recipe: str, preview: ReleasePreview) -> str:
    """Markdown: figures, what changed, and where to read more."""
    lines = [
        f"Approved, run `{recipe}/{preview.run}` becomes **{preview.version}** and the champion.",
        "Rejected, the run stays as it is and nothing is released.",
        "",
        *table(_HEADINGS, _rows(preview), right=_NUMBERS),
        "",
        *_not_comparable(preview),
        "What is special about this run:",
        "",
        *_changes(preview),
        "",
        " · ".join(
            [
                f"[Report]({report_path(recipe, preview.run, 'evaluate')})",
                f"[All stages]({report_path(recipe, preview.run)})",
            ]
        ),
    ]
    return "\n".join(lines)


def _rows(preview: ReleasePreview) -> Iterator[tuple[str, ...]]:
    champion = {(one.test_set, one.artefact): one for one in preview.champion_figures}
    for one in preview.figures:
        yield _row(one, f"**{preview.version}**")
        before = champion.pop((one.test_set, one.artefact), None)
        if before is not None:
            yield _row(before, preview.champion)
    for one in champion.values():  # what only the champion was measured on
        yield _row(one, preview.champion)


def _row(one: ArtefactFigures, version: str) -> tuple[str, ...]:
    return (
        f"{one.test_set} ({one.utterances})",
        one.artefact,
        version,
        f"{one.word_error_rate:.2%}",
        f"{one.word_error_rate_low:.2%} - {one.word_error_rate_high:.2%}",
        f"{one.character_error_rate:.2%}",
        f"{one.real_time_factor:.4f}",
        f"{one.bytes / 1e6:.2f} MB",
    )


def _not_comparable(preview: ReleasePreview) -> list[str]:
    """A warning where test sets of one name had other sizes."""
    before = {one.test_set: one.utterances for one in preview.champion_figures}
    other = sorted(
        {one.test_set for one in preview.figures if before.get(one.test_set) != one.utterances}
        & before.keys()
    )
    if not other:
        return []
    return [f"**Not the same test data:** {', '.join(other)} had another size before.", ""]


def _changes(preview: ReleasePreview) -> list[str]:
    lines = [f"- `{key} = {value}`" for key, value in preview.overrides.items()]
    lines += [f"- waived: {waived}" for waived in preview.waived]
    lines += [f"- uncommitted when it began: `{path}`" for path in preview.dirty]
    lines.append(f"- code and recipe of commit `{preview.base_commit[:10]}`")
    if preview.branch:
        lines.append(f"- branch `{preview.branch}`")
    return lines
