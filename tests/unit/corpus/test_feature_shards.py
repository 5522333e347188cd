"""Shards give arrays back bit for bit, at any place and in constant time."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from unit.corpus.test_shards import prepared
from voxmill.corpus.feature_shards import FeatureShardReader, FeatureShardWriter, open_shards
from voxmill.corpus.features import (
    FEATURES_FILE,
    FeatureShape,
    read_settings,
    read_shape,
    write_settings,
    write_shape,
)
from voxmill.corpus.shards import ShardReader
from voxmill.errors import DataError
from voxmill.signal.standardise import FeatureSettings


@hypothesis_settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    dimensions=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_arrays_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dimensions: int, seed: int
) -> None:
    """In any order of reading and however the shards are cut."""
    rng = np.random.default_rng(seed)
    arrays = [(1e5 * rng.normal(size=(n, dimensions))).astype(np.float32) for n in lengths]
    folder = tmp_path_factory.mktemp("shards")
    with FeatureShardWriter(folder, dimensions=dimensions, max_bytes=700) as writer:
        places = [writer.add(array) for array in arrays]
    reader = FeatureShardReader(folder, dimensions=dimensions)
    for place, array in reversed(list(zip(places, arrays, strict=True))):
        found = reader.samples(prepared(place))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, array)
        found += 1  # a copy: the shard stays as it is
    np.testing.assert_array_equal(reader.samples(prepared(places[0])), arrays[0])


def test_a_reader_travels_to_another_process(tmp_path: Path) -> None:
    """Only the folder's name goes along."""
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    with FeatureShardWriter(tmp_path, dimensions=2, max_bytes=100) as writer:
        place = writer.add(array)
    reader = FeatureShardReader(tmp_path, dimensions=2)
    reader.samples(prepared(place))
    sent = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(sent.samples(prepared(place)), array)


def test_a_shard_that_is_missing_or_cut_is_told(tmp_path: Path) -> None:
    """With the utterance and what to do."""
    with FeatureShardWriter(tmp_path, dimensions=2, max_bytes=1000) as writer:
        place = writer.add(np.zeros((9, 2), np.float32))
    shard = tmp_path / place.shard
    shard.write_bytes(shard.read_bytes()[:20])
    with pytest.raises(DataError, match=r"utterance u: expected 9 steps at least, found 2"):
        FeatureShardReader(tmp_path, dimensions=2).samples(prepared(place))
    shard.unlink()
    with pytest.raises(DataError, match=r"found none.*dvc pull"):
        FeatureShardReader(tmp_path, dimensions=2).samples(prepared(place))


def test_what_prepare_wrote_decides_how_its_shards_are_read(tmp_path: Path) -> None:
    """`features.json` is there for features alone."""
    assert isinstance(open_shards(tmp_path), ShardReader)
    assert read_settings(tmp_path) is None
    settings = FeatureSettings(frame_seconds=0.1, mean=(1.0, 2.0), deviation=(3.0, 4.0))
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert isinstance(open_shards(tmp_path), FeatureShardReader)


@pytest.mark.parametrize("text", ["", "[]", '{"mean": [1]}', '{"dimensions": 0}', "{}"])
def test_a_damaged_file_of_features_is_told(tmp_path: Path, text: str) -> None:
    """Both where ingest and where prepare wrote it."""
    (tmp_path / FEATURES_FILE).write_text(text)
    with pytest.raises(DataError, match=r"features\.json cannot be read"):
        read_settings(tmp_path)
    with pytest.raises(DataError, match=r"features\.json cannot be read"):
        read_shape(tmp_path)


def test_the_shape_of_a_source_is_handed_on(tmp_path: Path) -> None:
    """From ingest to audit and prepare."""
    assert read_shape(tmp_path) is None
    shape = FeatureShape(dimensions=6, frame_seconds=0.02)
    write_shape(tmp_path, shape)
    assert read_shape(tmp_path) == shape
