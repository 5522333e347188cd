"""The data stages on a small corpus: folders, a recipe and one call for each stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.family import FakeFamily, FakeModel
from voxmill.corpus.config import AuditConfig
from voxmill.corpus.sources.config import FolderSource
from voxmill.recipe.recipe import Recipe
from voxmill.recipe.sections import PrepareConfig
from voxmill.stages.audit import AuditStage
from voxmill.stages.ingest import IngestStage
from voxmill.stages.prepare import PrepareStage
from voxmill.stages.stage import Stage, StageContext, StageOutcome

SPELL = {"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four"}


def recipe(**sections: Any) -> Recipe:
    """A recipe over a folder of digits; sections as objects or plain values."""
    plain: dict[str, Any] = {
        "name": "toy",
        "title": "Toy",
        "family": "ctc",
        "source": FolderSource(kind="folder", path="in", spell=SPELL),
        "audit": AuditConfig(frame_seconds=0.02, min_accepted=1),
        "prepare": PrepareConfig(),
        "model": FakeModel(),
    }
    return Recipe(**{**plain, **sections})


@dataclass
class DataStages:
    """One run's folders below `root`."""

    root: Path
    recipe: Recipe = field(default_factory=recipe)
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Source folders by input name."""
    family: FakeFamily = field(default_factory=FakeFamily)

    def __post_init__(self) -> None:
        (self.root / "memory").mkdir(parents=True, exist_ok=True)

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    def ingest(self, **options: Any) -> StageOutcome:
        return self.run(IngestStage(families=lambda _: self.family), **options)

    def audit(self, **options: Any) -> StageOutcome:
        return self.run(AuditStage(), **options)

    def prepare(self, **options: Any) -> StageOutcome:
        return self.run(PrepareStage(lambda _: self.family), **options)

    def remember(self) -> None:
        """Appends prepare's new lines to memory, as a worker does."""
        new = (self.root / "prepare/memory/splits.jsonl").read_text(encoding="utf-8")
        with (self.memory / "splits.jsonl").open("a", encoding="utf-8") as file:
            file.write(new)

    def run(self, stage: Stage, **options: Any) -> StageOutcome:
        out = self.root / stage.name
        out.mkdir()
        earlier = {name: self.root / name for name in ("ingest", "audit", "prepare")}
        inputs = {**earlier, "memory": self.memory, **self.inputs}
        context = StageContext(
            recipe=self.recipe, inputs=inputs, out=out, work=self.root / "work", **options
        )
        return stage.run(context)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check(outcome: StageOutcome, name: str) -> tuple[object, bool]:
    """Value and verdict of a check by its name."""
    [found] = [one for one in outcome.checks if one.name == name]
    return found.value, found.passed
