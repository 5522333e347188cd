"""The GPUs of this machine, as NVIDIA's management library tells; none where there is none."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""How long after a failed start the library is asked again; a driver may come later."""
_MILLI = 1e-3


@dataclass(frozen=True, kw_only=True)
class GpuReading:
    """One GPU now; a value that it does not tell is None."""

    index: str
    up: bool
    """False: it answered once, and does not any more."""
    utilisation: float | None = None
    """Share of the last moments that it computed, 0-1."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    xid_errors: int = 0
    """Critical errors since the probe began."""


class GpuProbe(Protocol):
    """Looks at the GPUs."""

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that was ever seen; raises nothing."""


class NvmlProbe:
    """Reads through NVML.

    Args:
        load: Gives the module `pynvml`.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        load: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load or _pynvml
        self._clock = clock
        self._library: _Library | None = None
        self._next_try = float("-inf")
        self._seen: set[str] = set()
        self._xid_errors: Counter[str] = Counter()

    def read(self) -> Sequence[GpuReading]:
        """Every GPU that was ever seen; one that is lost has `up` False."""
        library = self._started()
        found: dict[str, GpuReading] = {}
        if library is not None:
            try:
                self._xid_errors.update(library.new_xid_errors())
                found = {gpu.index: gpu for gpu in library.readings(self._xid_errors)}
            except library.nvml.NVMLError as error:
                logger.warning("NVML failed: %s; trying again in %.0f s", error, RETRY_SECONDS)
                self._drop(library)
        self._seen |= found.keys()
        return [
            found.get(index)
            or GpuReading(index=index, up=False, xid_errors=self._xid_errors[index])
            for index in sorted(self._seen)
        ]

    def _started(self) -> _Library | None:
        if self._library is None and self._clock() >= self._next_try:
            self._next_try = self._clock() + RETRY_SECONDS
            try:
                nvml = self._load()
                nvml.nvmlInit()
            except Exception as error:  # noqa: BLE001  # no package, no driver, no permission
                logger.debug("No NVML: %s", error)
            else:
                self._library = _Library(nvml)
        return self._library

    def _drop(self, library: _Library) -> None:
        self._library = None
        self._next_try = self._clock() + RETRY_SECONDS
        try:
            library.nvml.nvmlShutdown()
        except library.nvml.NVMLError as error:
            logger.debug("NVML does not shut down: %s", error)


@dataclass
class _Library:
    """NVML, initialised."""

    nvml: Any
    _events: Any = None
    _listening: dict[str, Any] = field(default_factory=dict)

    def readings(self, xid_errors: Counter[str]) -> list[GpuReading]:
        found = []
        for number in range(self.nvml.nvmlDeviceGetCount()):
            index = str(number)
            try:
                device = self.nvml.nvmlDeviceGetHandleByIndex(number)
                memory = self.nvml.nvmlDeviceGetMemoryInfo(device)
            except self.nvml.NVMLError as error:  # lost: it fell off the bus, or needs a reset
                logger.debug("GPU %s does not answer: %s", index, error)
                found.append(GpuReading(index=index, up=False, xid_errors=xid_errors[index]))
                continue
            self._listen(index, device)
            found.append(self._reading(index, device, memory, xid_errors[index]))
        return found

    def new_xid_errors(self) -> list[str]:
        """Indices of the GPUs that had a critical error since the last call, one for each."""
        found: list[str] = []
        while self._events is not None:
            try:
                event = self.nvml.nvmlEventSetWait_v2(self._events, 0)
            except self.nvml.NVMLError:  # a timeout: there is none left
                break
            index = str(self.nvml.nvmlDeviceGetIndex(event.device))
            logger.warning("GPU %s: XID %s", index, event.eventData)
            found.append(index)
        return found

    def _reading(self, index: str, device: Any, memory: Any, xid_errors: int) -> GpuReading:
        nvml = self.nvml
        busy = self._told(nvml.nvmlDeviceGetUtilizationRates, device)
        milliwatts = self._told(nvml.nvmlDeviceGetPowerUsage, device)
        sensor = nvml.NVML_TEMPERATURE_GPU
        return GpuReading(
            index=index,
            up=True,
            utilisation=None if busy is None else busy.gpu / 100.0,
            memory_used_bytes=int(memory.used),
            memory_total_bytes=int(memory.total),
            temperature_celsius=self._told(nvml.nvmlDeviceGetTemperature, device, sensor),
            power_watts=None if milliwatts is None else milliwatts * _MILLI,
            xid_errors=xid_errors,
        )

    def _told(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None: not every GPU knows everything."""
        try:
            return ask(*arguments)
        except self.nvml.NVMLError:
            return None

    def _listen(self, index: str, device: Any) -> None:
        if index in self._listening:
            return
        self._listening[index] = device
        try:
            self._events = self._events or self.nvml.nvmlEventSetCreate()
            kind = self.nvml.nvmlEventTypeXidCriticalError
            self.nvml.nvmlDeviceRegisterEvents(device, kind, self._events)
        except self.nvml.NVMLError as error:  # WSL and virtual GPUs have no events
            logger.debug("GPU %s tells no XID errors: %s", index, error)


def _pynvml() -> Any:
    import pynvml

    return pynvml
