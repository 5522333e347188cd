"""The figures of `gpu_training.py` as Markdown: each variant, ratios, losses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

STRETCHES = 8
"""Rows of the table of losses."""
BUSY_AT_LEAST, WAIT_BELOW = 0.90, 0.05
RATIOS = (
    ("voxmill over Trainer, bf16", "voxmill-bf16", "trainer-bf16"),
    ("voxmill over Trainer, fp32", "voxmill-fp32", "trainer-fp32"),
    ("bf16 over fp32", "voxmill-bf16", "voxmill-fp32"),
    ("length buckets over one bucket", "voxmill-bf16", "voxmill-bf16-one-bucket"),
    ("compiled over eager", "voxmill-bf16-compiled", "voxmill-bf16"),
)
LOSSES = (
    ("bf16 beside fp32", "voxmill-bf16", "voxmill-fp32"),
    ("fp16 beside fp32", "voxmill-fp16", "voxmill-fp32"),
    ("compiled beside eager, bf16", "voxmill-bf16-compiled", "voxmill-bf16"),
    ("Trainer beside voxmill, fp32", "trainer-fp32", "voxmill-fp32"),
    ("Trainer beside voxmill, bf16", "trainer-bf16", "voxmill-bf16"),
)

Results = dict[str, dict[str, Any]]
"""What `result_of` gave, or why there is nothing (`failed`), by variant."""


def tables(results: Results, size: dict[str, Any]) -> list[str]:
    good = {name: result for name, result in results.items() if "failed" not in result}
    failed = [f"{name} failed: {results[name]['failed']}" for name in results if name not in good]
    if not good:
        return failed
    parts = [_header(good, size), _figures(good), _ratios(good), _curves(good), _distances(good)]
    return [part for part in parts if part] + failed


def _header(good: Results, size: dict[str, Any]) -> str:
    any_one = next(iter(good.values()))
    return (
        f"{any_one['device']}, {any_one['cores']} CPU cores, PyTorch {any_one['torch']}; "
        f"{any_one['parameters']:,.0f} parameters, "
        f"{any_one['learning_parameters']:,.0f} of which learn; {size['updates']} updates after "
        f"{size['warm_up']}; the Trainer loads with {size['trainer_workers']} processes, "
        f"voxmill with one thread. Aims: busy at least {BUSY_AT_LEAST:.0%}, "
        f"waiting below {WAIT_BELOW:.0%}."
    )


def _figures(good: Results) -> str:
    columns = (
        *("variant", "audio-hours per GPU-second", "times real time", "GPU busy", "data wait"),
        *("padding", "peak memory", "warm-up"),
    )
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, result in good.items():
        pace, busy = _pace(result), result["busy_share"]
        at_work = result["busy_trouble"] or "no sample" if busy is None else f"{busy:.1%}"
        rows.append(
            f"| {name} | {pace / 3600:.4f} | {pace:.1f} "
            f"| {at_work} | {result['data_wait_share']:.2%} | {result['padding_share']:.2%} "
            f"| {result['peak_memory_bytes'] / 1e9:.2f} GB | {result['warm_up_seconds']:.1f} s |"
        )
    compiled = [
        f"{name}: {result['graphs']} graphs, {result['graphs_after_warm_up']} of them compiled "
        f"within the measured updates; {result['graph_breaks']} breaks between them."
        for name, result in good.items()
        if result["graphs"]
    ]
    return "\n".join([*rows, *(f"\n{line}" for line in compiled)])


def _ratios(good: Results) -> str:
    rows = [
        f"| {what} | {_pace(good[one]) / _pace(good[other]):.2f} |"
        for what, one, other in RATIOS
        if one in good and other in good
    ]
    return "\n".join(["| audio per second | ratio |", "|---|---|", *rows]) if rows else ""


def _pace(result: dict[str, Any]) -> float:
    return result["audio_seconds_per_second"]


def _curves(good: Results) -> str:
    """Mean training loss of each stretch of updates, warm-up included."""
    updates = len(next(iter(good.values()))["losses"])
    count = min(STRETCHES, updates)
    edges = [updates * part // count for part in range(count + 1)]
    rows = [f"| loss (nats a token) | {' | '.join(good)} |", "|---" * (len(good) + 1) + "|"]
    for begin, end in pairwise(edges):
        means = [sum(result["losses"][begin:end]) / (end - begin) for result in good.values()]
        rows.append(
            f"| updates {begin + 1} to {end} | {' | '.join(f'{mean:.4f}' for mean in means)} |"
        )
    return "\n".join(rows)


def _distances(good: Results) -> str:
    rows = []
    for what, one, other in LOSSES:
        if one in good and other in good:
            pairs = zip(good[one]["losses"], good[other]["losses"], strict=True)
            apart = [abs(a - b) / b for a, b in pairs]
            rows.append(f"| {what} | {sum(apart) / len(apart):.3%} | {max(apart):.3%} |")
    head = ["| losses apart, of each update | mean | most |", "|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""
