"""A recipe of features fits together in all its sections, or says which field does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.errors import RecipeError
from voxmill.recipe.form import form_schema
from voxmill.recipe.reading import read_recipe
from voxmill.recipe.recipe import Recipe

TEXT = """\
title: Sensors
family: ctc
source: {kind: features, path: arrays, dimensions: 6, frame_seconds: 0.02}
audit: {frame_seconds: 0.04}
model:
  input: {kind: features, dimensions: 6, frame_seconds: 0.02}
  encoder: {kind: conformer, subsampling: 2}
train:
  augment: {time_masks: 2, frequency_masks: 1, concatenate: 3}
"""


def read(folder: Path, *overrides: str, text: str = TEXT) -> Recipe:
    (folder / "sensors.yaml").write_text(text)
    return read_recipe(folder / "sensors.yaml", overrides)


def test_masks_and_concatenation_go_with_features(tmp_path: Path) -> None:
    """And the form offers the fields of the input."""
    recipe = read(tmp_path)
    assert recipe.model.frame_seconds == 0.04
    keys = {field["key"] for field in form_schema(recipe)}
    assert {"source.dimensions", "model.input.dimensions", "model.input.frame_seconds"} <= keys


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("model.input.dimensions=4", "model.input.dimensions"),
        ("model.input.frame_seconds=0.01", "model.input.frame_seconds"),
        ("model.encoder.subsampling=4", "model.input.dimensions"),
        ("audit.frame_seconds=0.02", "audit.frame_seconds"),
        ("model.mel_bins=40", "model.mel_bins"),
        ("model.normalise=none", "model.normalise"),
        ("model.sample_rate_hz=8000", "model.sample_rate_hz"),
        ("train.augment.speed=[0.9, 1.1]", "train.augment.speed"),
        ("train.augment.noise_probability=0.5", "train.augment.noise_probability"),
        ("train.augment.gain_db=6.0", "train.augment.gain_db"),
        ("train.augment.equalise_db=6.0", "train.augment.equalise_db"),
        ("train.augment.vocal_tract=0.1", "train.augment.vocal_tract"),
        ("train.augment.pad_seconds=0.2", "train.augment.pad_seconds"),
    ],
)
def test_what_does_not_fit_features_is_named(tmp_path: Path, override: str, field: str) -> None:
    """Waveforms have distortions, mel bands have settings; features have neither."""
    with pytest.raises(RecipeError) as error:
        read(tmp_path, override)
    assert f"{field}: found" in str(error.value)


def test_sound_and_features_are_not_mixed_up(tmp_path: Path) -> None:
    """In either direction, and not with an encoder that was trained on sound."""
    sound = TEXT.replace(
        "{kind: features, path: arrays, dimensions: 6, frame_seconds: 0.02}",
        "{kind: folder, path: recordings}",
    )
    with pytest.raises(RecipeError, match=r"model\.input\.kind: found features"):
        read(tmp_path, text=sound)
    plain = TEXT.replace("  input: {kind: features, dimensions: 6, frame_seconds: 0.02}\n", "")
    with pytest.raises(RecipeError, match=r"model\.input\.kind: found audio"):
        read(tmp_path, text=plain)
    pretrained = TEXT.replace(
        "{kind: conformer, subsampling: 2}", "{kind: pretrained, architecture: wavlm}"
    )
    with pytest.raises(RecipeError, match="it was trained on sound"):
        read(tmp_path, text=pretrained)
