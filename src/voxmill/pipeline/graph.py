"""The graph of one recipe's stages, as plain values: what each reads, writes and needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from voxmill.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StageNode:
    """One stage of one recipe."""

    name: str
    """`train`."""
    address: str
    """As DVC names it: `train@digits`."""
    desc: str = ""
    cmd: str = ""
    deps: tuple[str, ...] = ()
    """Paths that DVC watches, relative to the checkout; parameter files are not among them."""
    outs: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    """Names of the stages whose outputs this one reads."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Folder by input name: one for each upstream stage, and `memory` where it is read."""
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the stage needs of a machine."""


class Graph:
    """The stages of one recipe in an order in which each comes after whatever it reads.

    Among stages that could come next, the one that stands first in dvc.yaml does.

    Args:
        recipe: Name of the recipe.
        nodes: Its stages, in dvc.yaml's order.

    Raises:
        UsageError: Stages read each other in a circle, read one that is not there, or share a name.
    """

    def __init__(self, recipe: str, nodes: Iterable[StageNode]) -> None:
        self.recipe = recipe
        self.nodes = _in_order(recipe, tuple(nodes))

    def __getitem__(self, stage: str) -> StageNode:
        """The stage of that name.

        Raises:
            UsageError: There is none.
        """
        for node in self.nodes:
            if node.name == stage:
                return node
        found = ", ".join(node.name for node in self.nodes)
        raise UsageError(f"Recipe {self.recipe} has no stage {stage!r}; there are: {found}.")


def _in_order(recipe: str, nodes: tuple[StageNode, ...]) -> tuple[StageNode, ...]:
    _refuse_unknown(recipe, nodes)
    done: dict[str, StageNode] = {}
    while len(done) < len(nodes):
        ready = next(
            (n for n in nodes if n.name not in done and all(u in done for u in n.upstream)), None
        )
        if ready is None:
            circle = ", ".join(n.name for n in nodes if n.name not in done)
            raise UsageError(
                f"Recipe {recipe}: stages {circle} wait for each other in a circle. "
                "Take one of their deps out of dvc.yaml."
            )
        done[ready.name] = ready
    return tuple(done.values())


def _refuse_unknown(recipe: str, nodes: tuple[StageNode, ...]) -> None:
    names = [node.name for node in nodes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Recipe {recipe}: stage {twice[0]!r} is there twice. Rename one.")
    for node in nodes:
        missing = sorted(set(node.upstream) - set(names))
        if missing:
            raise UsageError(
                f"Recipe {recipe}: stage {node.name} reads {missing[0]!r}, which is no stage. "
                f"Stages: {', '.join(names)}."
            )
