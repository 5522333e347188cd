"""Distortions do what their numbers say, and draw from nothing but their generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.signal import augment

RATE_HZ = 8000


def tone(hertz: float = 500.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def loudest_hertz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()])


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_faster_speech_is_shorter_and_higher(factor: float) -> None:
    """Resampling changes length by 1/factor and pitch by factor, as a tape does."""
    played = augment.change_speed(tone(), factor)
    assert len(played) == pytest.approx(RATE_HZ / factor, abs=2)
    assert loudest_hertz(played) == pytest.approx(500 * factor, rel=0.01)
    assert played.dtype == np.float32


def test_speed_one_leaves_every_sample_as_it_is() -> None:
    """No resampling, no rounding."""
    assert augment.change_speed(tone(), 1.0) is not None
    np.testing.assert_array_equal(augment.change_speed(tone(), 1.0), tone())


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_noise_stands_at_the_asked_distance_below_speech(colour, snr_db: float) -> None:
    """Signal power over noise power, in decibels, measured on what was added."""
    generator = np.random.default_rng(1)
    noisy = augment.add_noise(tone(), snr_db, colour=colour, generator=generator)
    added = noisy.astype(np.float64) - tone()
    measured = 10 * np.log10(np.mean(tone() ** 2.0) / np.mean(added**2))
    assert measured == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("slider", [1, 2, 3, 4, 5])
def test_each_slider_raises_its_own_frequency(slider: int) -> None:
    """A tone at the slider's frequency changes by the slider's decibels, one far off does not."""
    hertz = 125.0 * 2**slider
    decibels = np.zeros(7)
    decibels[slider] = 6.0
    changed = augment.equalise(tone(hertz), decibels, sample_rate_hz=RATE_HZ)
    if hertz < RATE_HZ / 2:  # at the highest frequency there is no tone to hear
        assert np.std(changed) / np.std(tone(hertz)) == pytest.approx(10 ** (6 / 20), rel=0.01)
    far = 3000.0 if slider < 4 else 200.0
    unchanged = augment.equalise(tone(far), decibels, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(unchanged, tone(far), atol=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 799, 800])
def test_a_flat_equaliser_leaves_samples_as_they_are(samples: int) -> None:
    """At every length, odd ones too, and in single precision."""
    speech = tone()[:samples]
    played = augment.equalise(speech, np.zeros(7), sample_rate_hz=RATE_HZ)
    assert played.dtype == np.float32
    np.testing.assert_allclose(played, speech, atol=1e-6)


def test_the_equaliser_stays_within_its_range() -> None:
    """All sliders, either way, seeded."""
    drawn = [augment.draw_equaliser(6.0, np.random.default_rng(seed)) for seed in range(50)]
    assert np.abs(drawn).max() <= 6.0
    assert np.min(drawn) < -5 < 5 < np.max(drawn)
    np.testing.assert_array_equal(drawn[3], augment.draw_equaliser(6.0, np.random.default_rng(3)))


def test_edges_are_faint_noise_around_untouched_samples() -> None:
    """So many seconds before and after, far below full scale and never digital silence."""
    padded = augment.pad(
        tone(), (0.1, 0.25), sample_rate_hz=RATE_HZ, generator=np.random.default_rng(4)
    )
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(padded[800:-2000], tone())
    assert len(padded) == len(tone()) + 2800
    for edge in (padded[:800], padded[-2000:]):
        assert -82 < 20 * np.log10(edge.std()) < -38
        assert (edge != 0).all()


def test_no_edges_draw_nothing() -> None:
    """A recipe without them hears what it heard before they existed."""
    generator, other = np.random.default_rng(1), np.random.default_rng(1)
    padded = augment.pad(tone(), (0.0, 0.0), sample_rate_hz=RATE_HZ, generator=generator)
    np.testing.assert_array_equal(padded, tone())
    assert generator.random() == other.random()


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    """Power between 200 and 400 Hz equals that between 1600 and 3200 Hz: octaves weigh alike."""
    generator = np.random.default_rng(2)
    silence = tone(seconds=8.0)
    noise = augment.add_noise(silence, 0, colour="pink", generator=generator) - silence
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    low = power[(hertz >= 200) & (hertz < 400)].sum()
    high = power[(hertz >= 1600) & (hertz < 3200)].sum()
    assert 10 * np.log10(low / high) == pytest.approx(0, abs=1)


def test_silence_gets_no_noise() -> None:
    """A ratio to nothing is nothing; certainly not a division by zero."""
    silent = np.zeros(100, dtype=np.float32)
    noisy = augment.add_noise(silent, 10, colour="white", generator=np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, silent)


def test_gain_is_in_decibels_and_clips_at_full_scale() -> None:
    """6.02 dB double the samples; what exceeds full scale is cut as a recorder cuts it."""
    np.testing.assert_allclose(augment.change_gain(tone(), 6.0206), 2 * tone(), rtol=1e-4)
    assert np.abs(augment.change_gain(tone(), 40)).max() == 1.0


def test_concatenated_utterances_stand_whole_with_faint_pauses_between() -> None:
    """Every part is there sample by sample; the pause is 50 dB below the speech, not silence."""
    parts = [tone(300), tone(600), tone(900)]
    strung = augment.concatenate(
        parts, [0.1, 0.2], sample_rate_hz=RATE_HZ, generator=np.random.default_rng(3)
    )
    assert len(strung) == 3 * RATE_HZ + 800 + 1600
    np.testing.assert_array_equal(strung[:RATE_HZ], parts[0])
    np.testing.assert_array_equal(strung[RATE_HZ + 800 : 2 * RATE_HZ + 800], parts[1])
    np.testing.assert_array_equal(strung[-RATE_HZ:], parts[2])
    pause = strung[RATE_HZ : RATE_HZ + 800]
    level_db = 20 * np.log10(pause.std() / tone().std())
    assert level_db == pytest.approx(-50, abs=1.5)


@given(
    frames=st.integers(1, 120),
    count=st.integers(0, 4),
    share=st.floats(0, 1),
    widest=st.integers(0, 100),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_masks_never_blank_more_than_they_may(frames, count, share, widest, seed) -> None:
    """At most count x share of the frames and count x widest of the bands, whatever is drawn."""
    generator = np.random.default_rng(seed)
    timed, banded = np.ones((frames, 80)), np.ones((frames, 80))
    augment.mask_time(timed, count=count, longest_share=share, generator=generator)
    augment.mask_frequency(banded, count=count, widest_bins=widest, generator=generator)
    assert (timed[:, 0] == 0).sum() <= count * int(share * frames)
    assert (banded[0] == 0).sum() <= count * min(widest, 80)
    assert set(np.unique(timed)) | set(np.unique(banded)) <= {0.0, 1.0}


def test_masks_do_blank_something() -> None:
    """Ten masks over a hundred frames leave their mark."""
    features = np.ones((100, 80))
    generator = np.random.default_rng(0)
    augment.mask_time(features, count=10, longest_share=0.1, generator=generator)
    assert 0 < (features[:, 0] == 0).sum() < 100


def test_the_same_seed_epoch_and_utterance_draw_the_same() -> None:
    """A resumed run hears what the uninterrupted one would have heard."""
    draw = [augment.utterance_generator(1, 2, 3).random(4).tolist() for _ in range(2)]
    assert draw[0] == draw[1]


def test_streams_of_different_utterances_and_epochs_are_unlike() -> None:
    """No two of them coincide, not even those that differ by trailing zeros."""
    keys = [(s, e, u) for s in range(2) for e in range(3) for u in range(3)]
    firsts = [augment.utterance_generator(*key).random() for key in keys]
    firsts += [augment.epoch_generator(s, e).random() for s in range(2) for e in range(3)]
    assert len(set(firsts)) == len(firsts)


def test_the_global_generators_are_left_alone() -> None:
    """Distortions may run in a loading thread: they must not disturb the training's chance."""
    before = np.random.get_state()[1].copy()
    generator = augment.utterance_generator(0, 0, 0)
    augment.add_noise(tone(), 5, colour="pink", generator=generator)
    augment.mask_time(np.ones((50, 8)), count=2, longest_share=0.5, generator=generator)
    np.testing.assert_array_equal(before, np.random.get_state()[1])
