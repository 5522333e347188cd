"""The front end against transformers' extractors, which are the oracle."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from transformers import LasrFeatureExtractor, ParakeetFeatureExtractor, WhisperFeatureExtractor

from voxmill.signal.mel import LogMel, MelSettings, mel_filters
from voxmill.signal.torch_mel import TorchLogMel

LENGTHS = (320, 321, 800, 4321, 16000, 37777)


def oracle(settings: MelSettings) -> ParakeetFeatureExtractor:
    return ParakeetFeatureExtractor(
        feature_size=settings.mel_bins,
        sampling_rate=settings.sample_rate_hz,
        hop_length=settings.hop_samples,
        win_length=settings.window_samples,
        n_fft=settings.fft_samples,
        preemphasis=settings.preemphasis,
    )


def lasr(settings: MelSettings) -> LasrFeatureExtractor:
    return LasrFeatureExtractor(
        feature_size=settings.mel_bins,
        sampling_rate=settings.sample_rate_hz,
        hop_length=settings.hop_samples,
        win_length=settings.window_samples,
        n_fft=settings.fft_samples,
    )


def waves(lengths=LENGTHS) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [(0.1 * generator.standard_normal(n)).astype(np.float32) for n in lengths]


# 128 bands are one Fourier bin wide: there the extractor itself is 2e-4 off its float64 value.
@pytest.mark.parametrize(
    ("rate_hz", "bins", "tolerance"),
    [(16000, 80, 1e-4), (16000, 128, 3e-4), (8000, 80, 1e-4), (8000, 40, 1e-4)],
)
def test_both_versions_equal_the_extractor_at_every_length(rate_hz, bins, tolerance) -> None:
    """Alone and in a padded batch, at both sample rates."""
    settings = MelSettings.for_rate(rate_hz, bins)
    extractor, ours, torch_mel = oracle(settings), LogMel(settings), TorchLogMel(settings)
    expected = extractor(waves(), sampling_rate=rate_hz)
    found, frames = torch_mel(waves())
    assert found.shape == expected.input_features.shape
    assert frames.tolist() == expected.attention_mask.sum(1).tolist()
    assert (found - expected.input_features).abs().max() < 1e-4
    for wave in waves():
        count = settings.frames(len(wave))
        alone = extractor(wave, sampling_rate=rate_hz).input_features[0, :count].numpy()
        assert np.abs(ours(wave) - alone).max() < tolerance


@pytest.mark.parametrize(("rate_hz", "bins"), [(16000, 80), (16000, 128), (8000, 80), (8000, 40)])
def test_without_normalisation_both_versions_equal_lasr_s_extractor(rate_hz, bins) -> None:
    """Alone and in a padded batch; past each end the extractor has the floor, we have zeros."""
    settings = MelSettings.for_rate(rate_hz, bins, "none")
    extractor, ours, torch_mel = lasr(settings), LogMel(settings), TorchLogMel(settings)
    lengths = (settings.window_samples + settings.hop_samples, 800, 4321, 16000, 37777)
    speech = waves(lengths)
    expected = extractor(speech, sampling_rate=rate_hz, return_attention_mask=True)
    found, frames = torch_mel(speech)
    assert found.shape == expected.input_features.shape
    assert frames.tolist() == expected.attention_mask.sum(1).tolist()
    for row, wave in enumerate(speech):
        alone = extractor(wave, sampling_rate=rate_hz).input_features[0].numpy()
        assert ours(wave).shape == alone.shape == (settings.frames(len(wave)), bins)
        assert np.abs(ours(wave) - alone).max() < 1e-4
        assert np.abs(found[row, : frames[row]].numpy() - alone).max() < 1e-4
        assert not found[row, frames[row] :].any()


def test_silence_stands_at_the_floor_where_nothing_is_normalised() -> None:
    """Digital silence has the energy 1e-5 in each band, not minus infinity."""
    features = LogMel(MelSettings.for_rate(8000, 40, "none"))(np.zeros(8000, dtype=np.float32))
    assert features.shape == (98, 40)
    np.testing.assert_allclose(features, np.log(1e-5), rtol=1e-6)


def test_loudness_stays_in_the_features_where_nothing_is_normalised() -> None:
    """Ten times the amplitude is the same shift of every band; normalised, it is gone."""
    speech = waves((8000,))[0]
    plain, none = (MelSettings.for_rate(16000, 40, kind) for kind in ("utterance", "none"))
    np.testing.assert_allclose(
        LogMel(none)(10 * speech) - LogMel(none)(speech), np.log(100), atol=1e-3
    )
    np.testing.assert_allclose(LogMel(plain)(10 * speech), LogMel(plain)(speech), atol=2e-2)


@pytest.mark.parametrize("normalise", ["utterance", "none"])
def test_a_longer_vocal_tract_lowers_what_a_band_hears(normalise) -> None:
    """A tone heard at 0.8 times its frequency looks like a tone of that frequency."""
    torch_mel = TorchLogMel(MelSettings.for_rate(8000, 40, normalise))
    time = np.arange(8000) / 8000
    tones = [np.sin(2 * np.pi * hertz * time).astype(np.float32) for hertz in (1000, 800, 1000)]
    noisy = [t + 1e-3 * waves((8000,))[0] * np.linspace(0.1, 1, 8000, dtype="f4") for t in tones]
    power = torch_mel._power(noisy)
    energies = (torch_mel._warped([0.8, 1.0, 1.0]) @ power).mean(-1)
    assert energies[0].argmax() == energies[1].argmax() < energies[2].argmax()


@pytest.mark.parametrize("normalise", ["utterance", "none"])
def test_a_warp_of_one_changes_nothing(normalise) -> None:
    """Beside warped neighbours an unwarped utterance keeps its features."""
    torch_mel = TorchLogMel(MelSettings.for_rate(8000, 40, normalise))
    plain, _ = torch_mel(waves((4000, 5000)))
    warped, frames = torch_mel(waves((4000, 5000)), warps=[1.0, 1.15])
    assert (plain[0] - warped[0]).abs().max() < 1e-4
    assert (plain[1] - warped[1]).abs().max() > 0.1
    assert bool(warped.isfinite().all())
    assert frames.tolist() == [torch_mel.settings.frames(n) for n in (4000, 5000)]


def test_real_speech_has_the_extractor_s_features(shared) -> None:
    """The same on recordings, whose bands differ by many orders of magnitude."""
    settings = MelSettings.for_rate(16000, 80)
    files = sorted((shared / "data/librispeech-mini").rglob("*.flac"))[:3]
    speech = [soundfile.read(file, dtype="float32")[0][:80000] for file in files]
    expected = oracle(settings)(speech, sampling_rate=16000).input_features
    found, frames = TorchLogMel(settings)(speech)
    assert (found - expected).abs().max() < 1e-4
    unnormalised = MelSettings.for_rate(16000, 80, "none")
    raw = lasr(unnormalised)(speech[0], sampling_rate=16000).input_features[0].numpy()
    assert np.abs(LogMel(unnormalised)(speech[0]) - raw).max() < 1e-3
    for row, wave in enumerate(speech):
        features = LogMel(settings)(wave)
        assert np.abs(features - expected[row, : frames[row]].numpy()).max() < 1e-4


def test_padding_does_not_change_an_utterance() -> None:
    """Beside a longer neighbour the features are what they are alone, and zero past the end."""
    torch_mel = TorchLogMel(MelSettings.for_rate(16000, 80))
    short, long = waves((5000, 40000))
    together, frames = torch_mel([short, long])
    alone, _ = torch_mel([short])
    assert (together[0, : frames[0]] - alone[0, : frames[0]]).abs().max() < 1e-5
    assert together[0, frames[0] :].abs().max() == 0


def test_a_recording_of_one_frame_is_no_speech_and_no_nan() -> None:
    """One frame has no variance: the extractor divides by zero there, we give nothing."""
    settings = MelSettings.for_rate(16000, 80)
    assert LogMel(settings)(np.ones(319, dtype=np.float32)).shape == (0, 80)
    features, _ = TorchLogMel(settings)([np.ones(200, dtype=np.float32)])
    assert bool(features.isfinite().all())


@pytest.mark.parametrize(("rate_hz", "bins"), [(8000, 20), (8000, 80), (16000, 80), (16000, 128)])
def test_no_band_is_empty(rate_hz: int, bins: int) -> None:
    """A band between two Fourier bins would hear nothing and be scaled noise."""
    assert (mel_filters(MelSettings.for_rate(rate_hz, bins)).sum(axis=1) > 0).all()


def test_settings_survive_json() -> None:
    """`frontend.json` says all that the front end needs."""
    settings = MelSettings.for_rate(8000, 40, "none")
    assert MelSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_the_numpy_version_runs_without_torch() -> None:
    """What stands beside an ONNX file must not need what ONNX does away with."""
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np\n"
        "from voxmill.signal.mel import LogMel, MelSettings\n"
        "print(LogMel(MelSettings())(np.ones(16000, dtype='float32')).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "(100, 80)"


@pytest.mark.parametrize("bins", [80, 128])
def test_below_the_loudest_both_versions_equal_whisper_s_extractor(bins) -> None:
    """Alone and in a padded batch; the extractor hears the recording with silence to 30 s."""
    settings = MelSettings.whisper(bins)
    extractor = WhisperFeatureExtractor(feature_size=bins)
    lengths = (400, 801, 4321, 16000, 37777)
    speech = [0.3 * wave for wave in waves(lengths)]
    found, frames = TorchLogMel(settings)(speech)
    assert found.shape == (len(lengths), max(lengths) // 160, bins)
    for row, wave in enumerate(speech):
        heard = extractor(wave, sampling_rate=16000, return_attention_mask=True)
        count = len(wave) // 160
        assert frames[row] == count == settings.frames(len(wave))
        expected = heard.input_features[0].T[:count]
        assert np.abs(LogMel(settings)(wave) - expected).max() < 1e-4
        assert np.abs(found[row, :count].numpy() - expected).max() < 1e-4
        assert not found[row, count:].any()
