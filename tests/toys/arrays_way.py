"""A toy language of arrays on its whole way: the outputs of every stage, from files to figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toys.directions import DIMENSIONS, write_language
from voxmill.recipe.reading import read_recipe
from voxmill.recipe.recipe import Recipe
from voxmill.stages.report import StageReport
from voxmill.stages.runner import StageOrder, run_stage

RECIPE = """\
title: Letters as directions
family: ctc
source: {kind: features, path: arrays, dimensions: 6, frame_seconds: 0.02}
audit: {frame_seconds: 0.04, max_rejected_share: 0.1}
prepare:
  split: {by: hash, validation_share: 0.15, test_share: 0.2}
model:
  input: {kind: features, dimensions: 6, frame_seconds: 0.02}
  encoder:
    {kind: conformer, d_model: 32, layers: 1, heads: 2, d_ff: 64, kernel: 7, subsampling: 2,
     subsampling_channels: 8, dropout: 0.0}
train:
  seed: 3
  epochs: 16
  batch_seconds: 8.0
  learning_rate: 4.0e-3
  warmup_steps: 8
  buckets: 4
  threads: 1
  augment: {time_masks: 1, frequency_masks: 1, frequency_mask_bins: 1, concatenate: 2}
evaluate: {bootstrap_samples: 100}
"""
BROKEN = {
    "nan_s0_900.npy": np.full((30, DIMENSIONS), np.nan, np.float32),
    "wide_s0_901.npy": np.zeros((30, DIMENSIONS + 1), np.float32),
    "flat_s0_902.npy": np.zeros(30, np.float32),
    "none_s0_903.npy": np.zeros((0, DIMENSIONS), np.float32),
}


@dataclass(frozen=True)
class Way:
    """The outputs of all stages."""

    folder: Path
    reports: Mapping[str, StageReport]

    def json(self, path: str) -> Any:
        return json.loads((self.folder / path).read_text(encoding="utf-8"))


_MADE: list[Way] = []


def made_once(folder: Path) -> Way:
    """One way for every test of a session that only reads."""
    if not _MADE:
        _MADE.append(_go(folder))
    return _MADE[0]


def _go(folder: Path) -> Way:
    write_language(folder / "arrays", arrays=120)
    for name, array in BROKEN.items():
        np.save(folder / "arrays" / name, array)
    (folder / "arrays" / "text_s0_904.npy").write_text("no array at all")
    (folder / "memory").mkdir()
    (folder / "directions.yaml").write_text(RECIPE)
    recipe = read_recipe(folder / "directions.yaml")
    stages = ("ingest", "audit", "verify", "prepare", "probe", "train", "package", "evaluate")
    reports = {}
    torch.set_num_threads(1)
    for stage in stages:
        reports[stage] = run_stage(order(folder, stage, recipe, tuple(reports)))
    return Way(folder=folder, reports=reports)


def order(folder: Path, stage: str, recipe: Recipe, done: tuple[str, ...]) -> StageOrder:
    inputs = {"source": folder / "arrays", "memory": folder / "memory"}
    inputs |= {name: folder / name for name in done}
    return StageOrder(
        stage=stage, recipe=recipe, inputs=inputs, out=folder / stage, work=folder / "work"
    )
