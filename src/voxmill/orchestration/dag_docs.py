"""What a person reads in Airflow about a recipe's DAG and its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from voxmill.orchestration.gate import STOP, WAIVE
from voxmill.orchestration.markdown import table

OPEN_DOC = (
    "Opens the run: a clone of the checkout with its own branch, whose first commit holds what the "
    "form changed. Every stage commits its result there."
)
DECIDE_DOC = (
    "Goes straight to the release where `release.auto` says so or where nothing new would be "
    "released; otherwise a person is asked first."
)
APPROVE_DOC = (
    "A required action: the packaged artefacts' figures beside the champion's. **Approve** "
    "releases the run; **Reject** leaves the release skipped, and the run ends well all the same. "
    "Who approved stands in the release's tag."
)
RELEASE_DOC = (
    "Tags the run's commit with the next version and makes it champion; the same outputs are never "
    "tagged twice. `git checkout TAG && dvc pull` brings everything back."
)


def dag_doc(recipe: str, entry: Mapping[str, Any]) -> str:
    """The DAG's page: what it makes, its stages with their gates, and how to answer it.

    Args:
        recipe: Name of the recipe.
        entry: The recipe in pipeline.json.
    """
    rows = [
        (f"**{name}**", stage["desc"], ", ".join(_limits(name, entry)) or "-")
        for name, stage in entry["stages"].items()
    ]
    lines = [
        f"# {entry['title']}",
        "",
        entry["description"],
        "",
        *table(("stage", "what it does", "gate"), rows),
        "",
        "### Start a run",
        f"**Trigger** shows every field of `recipes/{recipe}.yaml`; what you change there holds",
        "for that one run. A stage whose inputs have not changed is restored and not run again.",
        f"In a terminal: `voxmill trigger {recipe} --set SECTION.KEY=VALUE`.",
        "",
        "### When a gate closes",
        "A stage whose checks failed waits under **Required Actions**, with the checks, their",
        f"values and limits. **{WAIVE}** with a reason lets this run go on; **{STOP}** ends it.",
        'In a terminal: `voxmill waive RUN CHECK --why "..."`, then clear the task.',
        "",
        "### Release",
        APPROVE_DOC + f" A run rejected by mistake: `voxmill release {recipe}/RUN`; back to an "
        f"earlier version: `voxmill rollback {recipe} VERSION`.",
    ]
    return "\n".join(lines)


def stage_doc(name: str, entry: Mapping[str, Any]) -> str:
    """A stage's page: what it does, what it reads, its gate.

    Args:
        name: Name of the stage.
        entry: The recipe in pipeline.json.
    """
    stage = entry["stages"][name]
    lines = [f"{stage['desc']}.", ""]
    if stage["upstream"]:
        lines += [f"Reads the results of {', '.join(stage['upstream'])}.", ""]
    gates = [
        f"- `{field['key']}` = {field['schema']['default']}: "
        f"{field['schema'].get('description') or 'see the recipe.'}"
        for field in _gates(name, entry)
    ]
    if gates:
        lines += ["Its gate, as the recipe has it:", "", *gates]
    return "\n".join(lines).strip()


def _gates(stage: str, entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The fields of the stage's gate that have a limit."""
    for field in entry["form"]:
        is_gate = field["key"].startswith(f"{stage}.gates.")
        if is_gate and field["schema"].get("default") is not None:
            yield field


def _limits(stage: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for field in _gates(stage, entry):
        yield f"{field['key'].rpartition('.')[2]} {field['schema']['default']}"
