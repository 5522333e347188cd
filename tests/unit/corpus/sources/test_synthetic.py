"""Synthetic speech: real sound, the same for the same settings, different for different voices."""

from __future__ import annotations

from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from toys.corpora import mirrored
from voxmill.corpus.sources.config import SyntheticSource
from voxmill.corpus.sources.espeak import SpeechError, speak
from voxmill.corpus.sources.synthetic import Synthetic
from voxmill.corpus.sources.voices import ACCENTS, VARIANTS, WORDS, speakers
from voxmill.signal.audio_file import read_audio


def settings(**values: int) -> SyntheticSource:
    chosen = {"utterances": 5, "voices": 2, "max_words": 3, **values}
    return SyntheticSource.model_validate({"kind": "synthetic", **chosen})


def synthetic(**values: int) -> Synthetic:
    return Synthetic(settings(**values), part="synthetic")


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    """Two processes of today and tomorrow; another seed gives something else."""
    one, first = mirrored(synthetic(), tmp_path / "a")
    two, second = mirrored(synthetic(), tmp_path / "b")
    _, other = mirrored(synthetic(seed=2), tmp_path / "c")
    assert one == two
    assert first.entries == second.entries
    assert {e.sha256 for e in first.entries.values()}.isdisjoint(
        e.sha256 for e in other.entries.values()
    )


def test_recordings_are_what_their_texts_say(tmp_path: Path) -> None:
    """16 kHz mono, digits in words, as long as speech of that many words takes, and audible."""
    found, inventory = mirrored(synthetic(), tmp_path / "out")
    assert len(found.utterances) == 5
    assert {one.speaker for one in found.utterances} == {"voice000", "voice001"}
    for one in found.utterances:
        audio = read_audio(inventory.read(one.audio))
        words = one.text.split()
        assert set(words) <= set(WORDS)
        assert 1 <= len(words) <= 3
        assert (audio.sample_rate_hz, audio.channels) == (16000, 1)
        assert 0.15 * len(words) < audio.seconds < 1.2 * len(words) + 0.5
        assert 0.2 < float(np.abs(audio.samples).max()) < 1.0


def test_more_utterances_and_voices_leave_the_earlier_as_they_are(tmp_path: Path) -> None:
    """A data set can grow without becoming another one."""
    _, small = mirrored(synthetic(utterances=4), tmp_path / "a")
    _, large = mirrored(synthetic(utterances=9, voices=3), tmp_path / "b")
    assert set(small.entries) < set(large.entries)
    assert all(large.entries[p].sha256 == e.sha256 for p, e in small.entries.items())


def test_fewer_utterances_than_voices_are_no_trouble(tmp_path: Path) -> None:
    """The last voices have nothing to say."""
    found, _ = mirrored(synthetic(utterances=1, voices=3), tmp_path / "out")
    assert [one.id for one in found.utterances] == ["voice000-000000"]


def test_removed_utterances_are_not_spoken_again(tmp_path: Path) -> None:
    """A tombstone holds for made recordings too."""
    found, inventory = mirrored(synthetic(), tmp_path / "out", leave_out={"voice001-000001"})
    assert len(found.utterances) == 4
    assert found.left_out == {"voice001/voice001-000001.wav"}
    assert "voice001/voice001-000001.wav" not in inventory


def test_four_hundred_voices_are_four_hundred() -> None:
    """Every speaker has a voice of its own, and the first ones do not depend on how many."""
    many = speakers(settings(voices=400))
    assert len({one.voice for one in many}) == 400
    assert speakers(settings(voices=7)) == many[:7]


def test_every_variant_exists_and_repeats_itself() -> None:
    """espeak-ng takes an unknown variant for none at all, and its breath differs each time."""
    folder = Path(espeakng_loader.get_data_path()) / "voices/!v"
    for variant in VARIANTS:
        assert "\nbreath" not in (folder / variant).read_text(errors="replace")


def test_accents_and_variants_sound_different() -> None:
    """A sample: the same words at the same pace from several voices."""
    voices = [*ACCENTS, "en-us+f4", "en-us+klatt", "en-us+croak"]
    sounds = {speak(v, [("nine four zero", 160)], pitch=50, pitch_range=50)[0] for v in voices}
    assert len(sounds) == len(voices)


def test_an_unknown_voice_is_an_error_with_its_name() -> None:
    """What the other process said reaches this one."""
    with pytest.raises(SpeechError, match="no voice xx-nowhere"):
        speak("xx-nowhere", [("one", 160)], pitch=50, pitch_range=50)


def test_the_listing_follows_the_settings() -> None:
    """Sync sees a change of the recipe as a change of the data."""
    assert synthetic().listing() == synthetic().listing()
    assert synthetic().listing().digest != synthetic(seed=2).listing().digest
    assert synthetic().listing().files == {}
