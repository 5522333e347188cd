"""How fast training goes: rates of a step, share spent waiting, time to the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_SHORTEST = 1e-9  # seconds; a clock too coarse for one step must not divide by zero


@dataclass(kw_only=True)
class Pace:
    """A stopwatch for one attempt."""

    clock: Callable[[], float]
    """Seconds, monotonic."""
    steps: int = field(default=0, init=False)
    _attempt_started: float = field(init=False)
    _step_started: float = field(init=False)
    _waited: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._attempt_started = self._step_started = self.clock()

    @property
    def elapsed_seconds(self) -> float:
        """Since the attempt began."""
        return self.clock() - self._attempt_started

    def step_begins(self) -> None:
        """Starts the watch; the step's data is asked for now."""
        self._step_started = self.clock()

    def data_arrived(self) -> None:
        """The whole window is there."""
        self._waited = self.clock() - self._step_started

    def step_ended(self, sums: Mapping[str, float], remaining_steps: int) -> dict[str, float]:
        """Rates of the step by catalogued name.

        Args:
            sums: What the learner summed over the window: `utterances`, `audio_seconds`.
            remaining_steps: Until the last planned one.
        """
        now = self.clock()
        self.steps += 1
        seconds = max(_SHORTEST, now - self._step_started)
        mean = (now - self._attempt_started) / self.steps
        rates = {
            "voxmill_train_data_wait_ratio": min(1.0, self._waited / seconds),
            "voxmill_train_eta_seconds": mean * remaining_steps,
        }
        for name in ("utterances", "audio_seconds"):
            if name in sums:
                rates[f"voxmill_train_{name}_per_second"] = sums[name] / seconds
        return rates
