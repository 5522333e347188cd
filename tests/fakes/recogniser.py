"""A family at its port whose recogniser is a function: what it hears is up to the test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from voxmill.families.family import Artefact, Hypothesis

Hear = Callable[[str, npt.NDArray[np.float32]], str]


class FakeClock:
    """Seconds that pass only when somebody works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeRecogniser:
    """Hears what the function says; each call takes a fixed time on the fake clock."""

    def __init__(self, family: FakeFamily, artefact: str, decoder: str) -> None:
        self._family = family
        self._artefact = artefact
        self._decoder = decoder

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Hypothesis:
        calls = self._family.calls
        first = not any(artefact == self._artefact for artefact, _ in calls)
        calls.append((self._artefact, samples))
        self._family.clock.now += self._family.first_seconds if first else self._family.seconds
        return Hypothesis(text=self._family.hear(self._artefact, samples), decoder=self._decoder)


class FakeFamily:
    """Opens artefacts as recognisers and remembers what was asked of it."""

    name = "ctc"
    version = 1

    def __init__(
        self,
        hear: Hear,
        *,
        clock: FakeClock | None = None,
        seconds: float = 0.01,
        first_seconds: float = 0.01,
    ) -> None:
        """Takes the function and the time that it pretends to need.

        Args:
            hear: Text for an artefact's name and samples (N,).
            clock: The clock that a call moves on.
            seconds: Time of each call.
            first_seconds: Time of an artefact's first call.
        """
        self.hear = hear
        self.clock = clock or FakeClock()
        self.seconds = seconds
        self.first_seconds = first_seconds
        self.opened: list[tuple[str, str]] = []
        self.calls: list[tuple[str, npt.NDArray[np.float32]]] = []

    def recogniser(self, artefact: Artefact, *, decoder: str) -> FakeRecogniser:
        self.opened.append((artefact.name, decoder))
        return FakeRecogniser(self, artefact.name, f"fake-{decoder}")
