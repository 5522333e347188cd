"""Resampling keeps the sound and changes the rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.signal.resample import resample


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (22050, 16000), (44100, 8000)])
def test_a_tone_stays_the_same_tone(from_hz: int, to_hz: int) -> None:
    """440 Hz is 440 Hz at every rate; ends are left out, where the filter has no neighbours."""
    tone = np.sin(2 * np.pi * 440 * np.arange(from_hz) / from_hz).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(to_hz) / to_hz)
    found = resample(tone, from_hz=from_hz, to_hz=to_hz)
    inner = slice(to_hz // 10, -to_hz // 10)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[inner], expected[inner], atol=2e-3)


@given(
    length=st.integers(1, 5000),
    from_hz=st.sampled_from([8000, 16000, 22050]),
    to_hz=st.sampled_from([8000, 16000]),
)
def test_duration_is_kept(length: int, from_hz: int, to_hz: int) -> None:
    """The number of samples follows the ratio of the rates."""
    found = resample(np.zeros(length, np.float32), from_hz=from_hz, to_hz=to_hz)
    assert abs(found.shape[0] - length * to_hz / from_hz) <= 1


def test_what_lies_above_the_new_band_is_gone() -> None:
    """A 6 kHz tone cannot exist at 8 kHz; it vanishes and does not fold down."""
    tone = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(tone, from_hz=16000, to_hz=8000)[800:-800]).max() < 1e-3
