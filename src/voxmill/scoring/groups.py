"""Error rates of parts of a test set: by speaker, by length, by origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from voxmill.scoring.error_rates import Score, total


@dataclass(frozen=True)
class Group:
    """Utterances that share something, and how well they were recognised."""

    name: str
    score: Score


def by_name(names: Sequence[str], scores: Sequence[Score]) -> tuple[Group, ...]:
    """One group for each different name, in alphabetical order.

    Args:
        names: Name of the group (speaker, subset, part) of each utterance.
        scores: Score of each utterance, in the same order.
    """
    members: dict[str, list[Score]] = {}
    for name, score in zip(names, scores, strict=True):
        members.setdefault(name, []).append(score)
    return tuple(Group(name, total(members[name])) for name in sorted(members))


def by_duration(
    seconds: Sequence[float], scores: Sequence[Score], *, edges: Sequence[float]
) -> tuple[Group, ...]:
    """One group for each stretch between the edges that has utterances, from short to long.

    Args:
        seconds: Duration of each utterance.
        scores: Score of each utterance, in the same order.
        edges: Ascending inner edges; an utterance exactly on an edge belongs to the longer side.
    """
    names = _stretch_names(edges)
    members: list[list[Score]] = [[] for _ in names]
    for duration, score in zip(seconds, scores, strict=True):
        members[int(np.searchsorted(edges, duration, side="right"))].append(score)
    return tuple(Group(name, total(m)) for name, m in zip(names, members, strict=True) if m)


def quantile_edges(seconds: Sequence[float], *, groups: int = 4) -> tuple[float, ...]:
    """Inner edges that part the durations into groups of about the same number of utterances.

    Edges are rounded to a tenth of a second, so that a person can read them; where durations
    crowd together there are fewer groups than asked for.
    """
    if not seconds:
        return ()
    shares = np.linspace(0, 1, groups + 1)[1:-1]
    rounded = np.round(np.quantile(np.asarray(seconds, dtype=np.float64), shares), 1)
    shortest, longest = min(seconds), max(seconds)
    return tuple(sorted({float(edge) for edge in rounded if shortest < edge <= longest}))


def _stretch_names(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all lengths"]
    middle = [f"{low:g} s to {high:g} s" for low, high in pairwise(edges)]
    return [f"under {edges[0]:g} s", *middle, f"{edges[-1]:g} s and longer"]
