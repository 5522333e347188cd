"""Features come to zero mean and unit variance, whatever their offsets and scales."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.signal.frontend import frontend, settings_from_json, settings_to_json
from voxmill.signal.standardise import FeatureSettings, Standardised, measured, strung


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_array_by_array_gives_what_all_steps_at_once_give(lengths: list[int], seed: int) -> None:
    """One pass of numpy over everything is the oracle."""
    rng = np.random.default_rng(seed)
    arrays = [(1e4 + rng.normal(size=(n, 3))).astype(np.float32) for n in lengths]
    found = measured(arrays, dimensions=3, frame_seconds=0.01)
    together = np.concatenate(arrays).astype(np.float64)
    deviation = together.std(0)
    np.testing.assert_allclose(found.mean, together.mean(0), rtol=1e-6)
    varies = deviation > 1e-6 * 1e4
    np.testing.assert_allclose(np.array(found.deviation)[varies], deviation[varies], rtol=1e-5)


def test_small_signals_are_no_constants() -> None:
    """The voltage of a muscle is some millionths of a volt."""
    rng = np.random.default_rng(0)
    volts = (3e-7 * rng.normal(size=(500, 2))).astype(np.float32)
    found = measured([volts], dimensions=2, frame_seconds=0.001)
    heard = Standardised(found)(volts)
    np.testing.assert_allclose(heard.std(0), 1, rtol=1e-4)


def test_a_dimension_that_never_changes_becomes_zero() -> None:
    """And stays finite where another recording has another value there."""
    steps = np.array([[5.0, 1.0], [5.0, 3.0]], np.float32)
    heard = Standardised(measured([steps], dimensions=2, frame_seconds=0.01))
    np.testing.assert_array_equal(heard(steps), [[0, -1], [0, 1]])
    np.testing.assert_array_equal(heard(steps + np.float32(1)), [[1, 0], [1, 2]])


def test_of_no_arrays_nothing_is_known() -> None:
    """An empty training split is the gate's to report."""
    found = measured([], dimensions=2, frame_seconds=0.01)
    assert found == FeatureSettings.plain(2, 0.01)


def test_settings_survive_their_file_to_the_last_bit() -> None:
    """What a package computes is what the trainer computed."""
    rng = np.random.default_rng(3)
    found = measured([rng.normal(size=(9, 4)).astype("f4")], dimensions=4, frame_seconds=1 / 3)
    back = settings_from_json(json.loads(json.dumps(settings_to_json(found))))
    assert back == found
    assert isinstance(frontend(back), Standardised)
    assert (found.dimensions, found.frames(7), found.sample_rate_hz) == (4, 7, 3.0)


def test_pauses_between_arrays_are_exactly_zero_to_the_network() -> None:
    """The mean of the training data stands for nothing said."""
    settings_ = FeatureSettings(frame_seconds=0.02, mean=(0.1, 7.3), deviation=(0.3, 1.1))
    one, two = np.ones((3, 2), np.float32), np.full((2, 2), 9, np.float32)
    joined = strung([one, two], [0.1], settings_)
    heard = Standardised(settings_)(joined)
    assert heard.shape == (3 + 5 + 2, 2)
    assert (heard[3:8] == 0).all()
    np.testing.assert_array_equal(joined[:3], one)
    np.testing.assert_array_equal(joined[8:], two)
