"""The waveform front end against transformers' extractor, which is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import Wav2Vec2FeatureExtractor

from voxmill.signal.frontend import frontend, settings_from_json, settings_to_json
from voxmill.signal.mel import MelSettings
from voxmill.signal.waveform import Waveform, WaveformSettings


@pytest.mark.parametrize("normalise", [True, False])
def test_it_hears_what_the_extractor_hears(normalise) -> None:
    """Also where the recording is faint and off centre."""
    generator = np.random.default_rng(0)
    ours = Waveform(WaveformSettings(zero_mean_unit_variance=normalise))
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalise)
    for samples in (400, 16000, 37777):
        wave = (0.01 + 0.02 * generator.standard_normal(samples)).astype(np.float32)
        expected = extractor(wave, sampling_rate=16000).input_values[0]
        assert np.abs(ours(wave) - expected).max() < 1e-5


def test_too_short_a_recording_is_empty() -> None:
    """Nothing that would give no output frame reaches the network."""
    assert len(Waveform(WaveformSettings())(np.ones(399, dtype=np.float32))) == 0


@pytest.mark.parametrize(
    "settings",
    [MelSettings.for_rate(8000, 40, "none"), MelSettings.whisper(80), WaveformSettings()],
)
def test_settings_travel_as_json(settings) -> None:
    """What a package carries brings the same front end back."""
    again = settings_from_json(settings_to_json(settings))
    assert again == settings
    assert frontend(again).settings == settings


def test_a_file_without_a_kind_is_a_mel_front_end() -> None:
    """Packages released before there was another kind still open."""
    settings = MelSettings.for_rate(16000, 80)
    assert settings_from_json(settings.to_json()) == settings
