"""Shards give back the samples that were put in, at any place and in constant time."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.corpus.shards import ShardPlace, ShardReader, ShardWriter
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import DataError


def prepared(place: ShardPlace, name: str = "u") -> PreparedUtterance:
    return PreparedUtterance(
        id=name,
        split="train",
        shard=place.shard,
        offset_samples=place.offset_samples,
        samples=place.samples,
        text="one",
        text_original="One",
        labels=(1, 2, 3),
        speaker="ann",
        subset="all",
        part="source",
    )


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_sixteen_bit_samples_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seed: int
) -> None:
    """In any order of reading and however the shards are cut."""
    rng = np.random.default_rng(seed)
    sounds = [(rng.integers(-32768, 32768, n) / 32768).astype(np.float32) for n in lengths]
    folder = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, max_bytes=700) as writer:
        places = [writer.add(sound) for sound in sounds]
    reader = ShardReader(folder)
    for place, sound in reversed(list(zip(places, sounds, strict=True))):
        found = reader.samples(prepared(place))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, sound)


def test_what_is_too_loud_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    """+1.2 must stay the loudest positive value, not become a negative one."""
    with ShardWriter(tmp_path, max_bytes=1000) as writer:
        place = writer.add(np.array([1.2, -1.2], np.float32))
    np.testing.assert_allclose(
        ShardReader(tmp_path).samples(prepared(place)), [32767 / 32768, -1.0]
    )


def test_a_reader_travels_to_another_process(tmp_path: Path) -> None:
    """A pickled reader holds paths, not sound."""
    with ShardWriter(tmp_path, max_bytes=10**6) as writer:
        place = writer.add(np.full(100_000, 0.5, np.float32))
    reader = ShardReader(tmp_path)
    reader.samples(prepared(place))
    packed = pickle.dumps(reader)
    assert len(packed) < 1000
    assert pickle.loads(packed).samples(prepared(place))[0] == 0.5


def test_samples_may_be_changed_without_touching_the_shard(tmp_path: Path) -> None:
    """Augmentation works in place on its own copy."""
    with ShardWriter(tmp_path, max_bytes=1000) as writer:
        place = writer.add(np.full(10, 0.5, np.float32))
    reader = ShardReader(tmp_path)
    reader.samples(prepared(place))[:] = 0
    assert reader.samples(prepared(place))[0] == 0.5


@pytest.mark.parametrize("content", [None, b"", b"\0" * 10])
def test_a_lost_or_cut_shard_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or shortened shard says which utterance wanted what."""
    if content is not None:
        (tmp_path / "00000.pcm").write_bytes(content)
    with pytest.raises(DataError, match=r"00000\.pcm, utterance u: expected"):
        ShardReader(tmp_path).samples(prepared(ShardPlace("00000.pcm", 0, 100)))
