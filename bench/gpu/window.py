"""The measured updates of one training: time, a GPU at work, memory."""

from __future__ import annotations

import threading
import time

import torch
from torch._dynamo.utils import counters as dynamo_counters

from voxmill.stages.machine import peak_memory_bytes

SAMPLES_PER_SECOND = 10


class Window:
    """The measured updates: begins when the warm-up ends, closes with the last update."""

    def __init__(self, *, warm_up: int, updates: int) -> None:
        self._first, self._last = warm_up, warm_up + updates
        self._cuda = torch.cuda.is_available()
        self._made = 0
        self._started = time.perf_counter()
        self._over = threading.Event()
        self._busy: list[int] = []
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self.ends: list[float] = []
        self.warm_up_seconds = 0.0
        self.warm_up_graphs = 0
        self.trouble = "" if self._cuda else "no GPU"
        self.peak_bytes = 0

    @property
    def open(self) -> bool:
        return self._first <= self._made < self._last

    @property
    def busy_share(self) -> float | None:
        """Mean of NVML's share of the time in which at least one kernel ran."""
        return sum(self._busy) / len(self._busy) / 100 if self._busy else None  # of per cent

    def begin(self) -> None:
        """Before the first update: dropout is drawn from here in both loops."""
        torch.manual_seed(1)
        self._started = time.perf_counter()

    def updated(self) -> None:
        """An update was made."""
        self._made += 1
        if self._made in (self._first, self._last) and self._cuda:
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if self._made == self._first:
            self.warm_up_seconds = self.ends[-1] - self._started
            self.warm_up_graphs = graphs()
            if self._cuda:
                torch.cuda.reset_peak_memory_stats()
                self._sampler.start()
        if self._made == self._last:
            self._over.set()
            self.peak_bytes = peak_memory_bytes()
            if self._cuda:
                self._sampler.join()
                self.peak_bytes = torch.cuda.max_memory_allocated()

    def seconds_of(self, update: int) -> float:
        """From the end of the update before to its own, counted from 1."""
        return self.ends[update - 1] - self.ends[update - 2]

    def _sample(self) -> None:
        while not self._over.wait(1 / SAMPLES_PER_SECOND):
            try:
                self._busy.append(torch.cuda.utilization())  # NVML, through nvidia-ml-py
            except Exception as error:  # noqa: BLE001 - a MIG slice has no such figure
                self.trouble = f"NVML: {error or type(error).__name__}"
                return


def graphs() -> int:
    """What `torch.compile` has compiled so far."""
    return dynamo_counters["stats"]["unique_graphs"]
