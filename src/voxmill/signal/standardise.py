"""Features brought to zero mean and unit variance by what the training data have.

Mean and deviation are those of the training split, each dimension's own; whoever uses a package
finds them in its `frontend.json`.

Legend: T steps, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Steps = npt.NDArray[np.float32]

_LEAST_DEVIATION = 1e-6
"""As a share of the mean's size: with less a dimension counts as constant, for float32 could not
tell its values apart. The mean alone decides: volts of a muscle are small and vary nevertheless."""
_TINY = 1e-30
"""Smaller deviations count as none."""


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """What the front end is set to; a package carries it as `frontend.json`."""

    frame_seconds: float
    """Length of one step."""
    mean: tuple[float, ...]
    """(D,) of the training split."""
    deviation: tuple[float, ...]
    """(D,) of the training split; 1 for a constant dimension."""

    @classmethod
    def plain(cls, dimensions: int, frame_seconds: float) -> FeatureSettings:
        """Settings that leave arrays as they are."""
        zeros, ones = (0.0,) * dimensions, (1.0,) * dimensions
        return cls(frame_seconds=frame_seconds, mean=zeros, deviation=ones)

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.mean)

    @property
    def sample_rate_hz(self) -> float:
        """Steps a second."""
        return 1 / self.frame_seconds

    @property
    def min_samples(self) -> int:
        """The shortest array that gives an output frame."""
        return 1

    def frames(self, samples: int) -> int:
        """What the network hears of an array of that many steps: each of them."""
        return samples

    def to_json(self) -> dict[str, Any]:
        """The settings by name, for `frontend.json`."""
        values = asdict(self)
        return {**values, "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> FeatureSettings:
        """Takes back what `to_json` gave.

        Raises:
            KeyError: Mean or deviation is missing.
            TypeError: A setting is unknown.
            ValueError: Mean and deviation are not of one length, or no numbers.
        """
        if len(values["mean"]) != len(values["deviation"]):
            raise ValueError("mean and deviation have different lengths")
        lists = {name: tuple(map(float, values[name])) for name in ("mean", "deviation")}
        return cls(**{**values, **lists})


class Standardised:
    """The front end in numpy."""

    def __init__(self, settings: FeatureSettings) -> None:
        self.settings = settings
        self._mean = np.asarray(settings.mean, dtype=np.float32)
        self._deviation = np.asarray(settings.deviation, dtype=np.float32)

    @property
    def mean(self) -> Steps:
        """(D,) what becomes zero."""
        return self._mean

    def __call__(self, samples: Steps) -> Steps:
        """What the network hears of one utterance.

        Args:
            samples: (T, D) as the file has them.

        Returns:
            (T, D) float32.
        """
        return np.asarray((samples - self._mean) / self._deviation, dtype=np.float32)


def strung(
    arrays: Sequence[Steps], pauses_seconds: Sequence[float], settings: FeatureSettings
) -> Steps:
    """Arrays one behind the other, the mean between them, which the front end makes zero.

    Args:
        arrays: One or more of shape (T, D).
        pauses_seconds: Between each two of them.
        settings: Length of a step, and the mean.

    Returns:
        (T, D) float32 with all arrays and pauses.
    """
    parts = [arrays[0]]
    for array, pause in zip(arrays[1:], pauses_seconds, strict=True):
        steps = round(pause / settings.frame_seconds)
        parts += [np.tile(np.asarray(settings.mean, dtype=np.float32), (steps, 1)), array]
    return np.concatenate(parts)


def measured(arrays: Iterable[Steps], *, dimensions: int, frame_seconds: float) -> FeatureSettings:
    """Mean and deviation of all steps of all arrays, in one pass.

    Sums of squares would lose what matters where the mean is large; counts, means and squared
    distances are joined array by array instead (Chan, Golub and LeVeque, 1979).

    Args:
        arrays: Any number of shape (T, D); of none nothing is known: mean 0 and deviation 1.
        dimensions: D.
        frame_seconds: Length of one step.
    """
    count, mean, distance = 0, np.zeros(dimensions), np.zeros(dimensions)
    for array in arrays:
        steps, own = len(array), array.astype(np.float64)
        own_mean = own.mean(0)  # (D,)
        apart = own_mean - mean
        distance = distance + np.square(own - own_mean).sum(0)
        distance = distance + np.square(apart) * (count * steps / (count + steps))
        mean = mean + apart * (steps / (count + steps))
        count += steps
    deviation = np.sqrt(distance / max(1, count))  # (D,)
    constant = deviation <= np.maximum(_TINY, _LEAST_DEVIATION * np.abs(mean))
    return FeatureSettings(
        frame_seconds=frame_seconds,
        mean=_rounded(mean),
        deviation=_rounded(np.where(constant, 1.0, deviation)),
    )


def _rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """As float32 has them, so that what is written down is what is computed with."""
    return tuple(float(value) for value in values.astype(np.float32))
