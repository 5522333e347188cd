"""What `base` may say: pinned hub ids, folders, and three kinds of checkpoints to start from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from toys.data_stages import recipe
from voxmill.base_reference import (
    FileReference,
    ReleaseReference,
    RunReference,
    is_hub_id,
    parse_origin,
)
from voxmill.recipe.base_config import BaseConfig
from voxmill.recipe.rules import conflicts_between_sections

COMMIT = "87c7102498dcde7456f24cfd30239ca606ed9063"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"model": "openai/whisper-tiny.en", "revision": COMMIT},
        {"model": "./models/whisper-tiny.en"},
        {"model": "../models/whisper-tiny.en"},
        {"model": "models"},
        {"model": "/data/models/wavlm"},
        {"init_from": "voxformer@v0.12.0"},
        {"init_from": "run:voxformer-mini/manual-2026-11-21"},
        {"init_from": "../stage 2/best.pt", "init_tokenizer": "../stage 2/tokenizer.json"},
        {"init_from": "old/model.safetensors", "model": "./models/wavlm"},
    ],
)
def test_every_way_to_name_a_base_is_taken(values: dict[str, str]) -> None:
    """Nothing, a pinned hub id, a folder, and a checkpoint of each kind, alone or together."""
    assert BaseConfig(**values).model_dump(exclude_none=True) == values


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"model": "microsoft/wavlm-base"}, "revision"),
        ({"model": "microsoft/wavlm-base", "revision": "main"}, "revision"),
        ({"model": "microsoft/wavlm-base", "revision": COMMIT[:39]}, "revision"),
        ({"model": "models", "revision": COMMIT}, "revision"),
        ({"revision": COMMIT}, "revision"),
        ({"init_from": "voxformer@0.1.0"}, "init_from"),
        ({"init_from": "voxformer@v0.1"}, "init_from"),
        ({"init_from": "run:first"}, "init_from"),
        ({"init_from": "run:digits/First"}, "init_from"),
        ({"init_from": "checkpoints/best"}, "init_from"),
        ({"init_tokenizer": "tokenizer.json"}, "init_tokenizer"),
        ({"init_from": "run:a/b", "init_tokenizer": "tokenizer.json"}, "init_tokenizer"),
        ({"init_from": "a.pt", "init_tokenizer": "spm.model"}, "init_tokenizer"),
    ],
)
def test_what_cannot_be_brought_is_refused_at_once(values: dict[str, str], field: str) -> None:
    """A wrong name is found where it was written, and not when ingest looks for it."""
    with pytest.raises(ValidationError, match=field):
        BaseConfig(**values)


def test_the_text_alone_tells_a_hub_id_from_a_folder() -> None:
    """The same recipe means the same on a machine that has such a folder."""
    assert is_hub_id("openai/whisper-tiny.en")
    assert not any(map(is_hub_id, ["./a/b", "../b", "a", "a/b/c", "/a/b", "~/b", "a/", "-a/b"]))


def test_a_checkpoint_s_name_says_what_it_is() -> None:
    """A release, a run or a file."""
    assert parse_origin("digits@v1.2.3") == ReleaseReference("digits", "v1.2.3")
    assert parse_origin("run:digits/a-1") == RunReference("digits", "a-1")
    assert parse_origin("a@v1.0.0/b.ckpt") == FileReference(Path("a@v1.0.0/b.ckpt"))
    for text in ("digits@v1.2.3", "run:digits/a-1", "old/b.bin"):
        assert str(parse_origin(text)) == text


def test_a_pretrained_encoder_without_weights_is_a_mistake_of_the_recipe() -> None:
    """Else ingest, audit and prepare would run before training misses them."""
    model = SimpleNamespace(encoder=SimpleNamespace(kind="pretrained"))
    [conflict] = conflicts_between_sections(recipe(model=model))
    assert (conflict.field, conflict.found) == ("base.model", "nothing")
    with_weights = recipe(model=model, base=BaseConfig(model="./models/wavlm"))
    assert not list(conflicts_between_sections(with_weights))
