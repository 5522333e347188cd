"""The order of stages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.errors import UsageError
from voxmill.pipeline.graph import Graph, StageNode


def node(name: str, *upstream: str) -> StageNode:
    return StageNode(name=name, address=f"{name}@toy", upstream=upstream)


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_each_stage_comes_after_whatever_it_reads(
    order: list[int], edges: set[tuple[int, int]]
) -> None:
    """Whatever the order of the file; an edge from a greater to a smaller number cannot circle."""
    reads = {n: [str(b) for a, b in edges if a == n and b < a] for n in range(6)}
    graph = Graph("toy", [node(str(n), *reads[n]) for n in order])
    names = [each.name for each in graph.nodes]
    assert sorted(names) == sorted(str(n) for n in order)
    assert all(names.index(b) < names.index(a.name) for a in graph.nodes for b in a.upstream)


def test_free_stages_keep_the_order_of_the_file() -> None:
    """pipeline.json must not change with the weather."""
    graph = Graph("toy", [node("c", "b"), node("b"), node("a")])
    assert [each.name for each in graph.nodes] == ["b", "c", "a"]


def test_a_circle_is_refused_by_name() -> None:
    """No order would be right."""
    with pytest.raises(UsageError, match=r"stages a, b wait for each other in a circle"):
        Graph("toy", [node("a", "b"), node("b", "a"), node("c")])


def test_a_stage_that_reads_none_of_the_others_is_refused() -> None:
    """A renamed stage leaves such a trace."""
    with pytest.raises(UsageError, match="stage b reads 'old', which is no stage"):
        Graph("toy", [node("b", "old")])


def test_two_stages_of_one_name_are_refused() -> None:
    """One of them would silently win."""
    with pytest.raises(UsageError, match="stage 'a' is there twice"):
        Graph("toy", [node("a"), node("a")])


def test_an_unknown_stage_is_told_with_those_that_there_are() -> None:
    """A typing mistake shows what was meant."""
    with pytest.raises(UsageError, match="no stage 'trian'; there are: train"):
        Graph("toy", [node("train")])["trian"]
