"""The exporter: reads in the background, answers from what it read last.

Runs, host and GPUs are read every few seconds by one thread, releases by another, because an
origin may take long to answer. The text of what was read is made then and not when it is asked
for, so that an answer costs a few milliseconds however many runs there are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import voxmill
from voxmill.exporting.airflow_bridge import AirflowBridge
from voxmill.exporting.exposition import SamplesCollector
from voxmill.exporting.fleet import Fleet
from voxmill.exporting.gpus import GpuProbe
from voxmill.exporting.host import gpu_samples, host_samples
from voxmill.exporting.releases import ReleaseReader, ReleaseView, release_samples
from voxmill.exporting.run_view import RunView
from voxmill.exporting.samples import Sample, recipe_samples, run_samples
from voxmill.exporting.watched_file import Faults
from voxmill.observability.labels import ERROR_REASONS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Exporter:
    """Everything that is served, as of the last reading.

    Attributes:
        fleet: The runs.
        gpus: Looks at the GPUs.
        places: Folder by place, whose disks are watched.
        releases: Asks the registry; None where there is no project.
        bridge: Takes what Airflow says.
        recipes: Names of the project's recipes, those without a run too.
    """

    fleet: Fleet
    gpus: GpuProbe
    places: Mapping[str, Path]
    releases: ReleaseReader | None = None
    bridge: AirflowBridge = field(default_factory=AirflowBridge)
    recipes: Sequence[str] = ()
    _read: list[Sample] = field(default_factory=list)
    _told: tuple[frozenset[str], list[ReleaseView]] = field(default=(frozenset(), []))
    """The registry's commits with a version, and its versions: both of one asking."""
    _text: bytes = b""
    _answer_seconds: float = 0.0
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._of_readings = _registry(lambda: self._read)
        self._of_itself = _registry(self._own_samples, with_process=True)

    def start(self, *, refresh_seconds: float, release_seconds: float) -> None:
        """Reads once, and then regularly in the background until `stop`."""
        self.refresh()
        for name, work, seconds in (
            ("runs", self.refresh, refresh_seconds),
            ("releases", self.ask_releases, release_seconds),
        ):
            threading.Thread(
                target=self._repeat, args=(work, seconds), name=name, daemon=True
            ).start()

    def stop(self) -> None:
        """Lets the threads end; they may be in the middle of a reading."""
        self._stopping.set()

    def refresh(self) -> None:
        """Reads runs, host and GPUs, and makes their text anew."""
        from prometheus_client import generate_latest

        started = time.perf_counter()
        self.fleet.released, versions = self._told
        views = self.fleet.look()
        recipes = self.fleet.recipes()
        self.bridge.expect_dags({*self.recipes, *recipes})
        samples = list(recipe_samples(recipes))
        for view in views:
            samples += run_samples(view, recipes[view.recipe].usual_seconds)
        samples += self._machine(views)
        for version in versions:
            samples += release_samples(version)
        samples.append(Sample("voxmill_exporter_runs", (), float(len(views))))
        seconds = time.perf_counter() - started
        samples.append(Sample("voxmill_exporter_refresh_seconds", (), seconds))
        self._read = samples
        self._text = generate_latest(self._of_readings)

    def ask_releases(self) -> None:
        """Asks the registry, and takes what it says into the next text."""
        if self.releases is None:
            return
        recipes = self.fleet.recipes()
        names = sorted({*self.recipes, *recipes})
        try:
            self.releases.refresh()
            commits = self.releases.released_commits(names)
            views: list[ReleaseView] = []
            for name in names:
                known = recipes.get(name)
                views += self.releases.views(name, known.candidate if known else None)
        except Exception as error:  # noqa: BLE001  # an origin that is away must not end the rest
            self.faults.note("registry", "the origin's tags", error)
            return
        self._told = (commits, views)

    def answer(self) -> bytes:
        """The text of the last reading, and what the exporter and Airflow say at this moment."""
        from prometheus_client import generate_latest

        started = time.perf_counter()
        text = self._text + generate_latest(self._of_itself)
        self._answer_seconds = time.perf_counter() - started
        return text

    @property
    def faults(self) -> Faults:
        """What could not be read."""
        return self.fleet.faults

    def _machine(self, views: Sequence[RunView]) -> list[Sample]:
        stages = [stage for view in views for stage in view.stages if stage.state == "running"]
        samples = list(gpu_samples(self.gpus.read(), expected=sum(s.gpus for s in stages)))
        try:
            samples += host_samples(self.places)
        except OSError as error:
            self.faults.note("host", "memory and disks", error)
        return samples

    def _own_samples(self) -> Iterator[Sample]:
        yield from self.bridge.samples()
        yield Sample("voxmill_exporter_scrape_seconds", (), self._answer_seconds)
        yield Sample("voxmill_exporter_build_info", (voxmill.__version__,), 1.0)
        counts = self.faults.counts
        for reason in ERROR_REASONS:
            yield Sample("voxmill_exporter_errors_total", (reason,), float(counts.get(reason, 0)))

    def _repeat(self, work: Callable[[], None], seconds: float) -> None:
        first = work == self.ask_releases
        while first or not self._stopping.wait(seconds):
            first = False
            try:
                work()
            except Exception:  # one bad reading must not end all later ones
                logger.exception("A reading failed; the next one comes in %.0f s", seconds)


def _registry(
    samples: Callable[[], Iterable[Sample]], *, with_process: bool = False
) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, ProcessCollector

    registry = CollectorRegistry()
    registry.register(SamplesCollector(samples))
    if with_process:
        ProcessCollector(registry=registry)
    return registry
