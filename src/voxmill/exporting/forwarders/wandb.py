"""Runs for Weights & Biases, online with a key or offline as files for `wandb sync`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxmill.errors import EngineMissing, UsageError
from voxmill.exporting.forwarders.forwarder import Subject, tag_of
from voxmill.observability.curves import JournalLine
from voxmill.runs.wandb_access import DISABLED, KEY, MODE, OFFLINE, missing_login

_STEP = "step"


@dataclass(frozen=True, kw_only=True)
class WandbOptions:
    """Where a run goes."""

    folder: Path
    """For what is written on this machine."""
    offline: bool = False
    project: str = "voxmill"
    entity: str | None = None
    """Team or user; None: the key's own."""


class WandbForwarder:
    """One W&B run for one forwarding, in the group of its recipe."""

    def __init__(
        self, subject: Subject, options: WandbOptions, environment: Mapping[str, str]
    ) -> None:
        """Opens the run.

        Args:
            subject: The run.
            options: Where to.
            environment: Holds the key, or the netrc file's place; it is read by wandb itself and
                never shown. `WANDB_MODE` counts where the options do not say offline.

        Raises:
            UsageError: Online without a key, or W&B is disabled here.
            EngineMissing: wandb is not installed, or its server does not let us in.
        """
        self._offline = options.offline or environment.get(MODE) in OFFLINE
        if not self._offline:
            _check_online(environment)
        self._wandb = _load()
        options.folder.mkdir(parents=True, exist_ok=True)
        self._run = self._open(subject, options)
        # W&B's own step may never fall; ours does where a resumed run does steps again.
        self._run.define_metric(_STEP)
        self._run.define_metric("*", step_metric=_STEP)
        self._name = f"{subject.recipe}-{subject.run}"

    def _open(self, subject: Subject, options: WandbOptions) -> Any:
        settings = self._wandb.Settings(
            mode="offline" if self._offline else "online",
            console="off",
            silent=True,
            # Nothing leaves the machine but what is named here: no code, no host, no git remote.
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        try:
            return self._wandb.init(
                project=options.project,
                entity=options.entity,
                name=subject.name,
                group=subject.recipe,
                tags=[subject.recipe],
                config=dict(subject.config),
                dir=str(options.folder),
                settings=settings,
            )
        except self._wandb.Error as error:
            raise EngineMissing(
                f"Weights & Biases does not open a run: {error}. Check {KEY} and the network, or "
                "forward with --offline."
            ) from error

    @property
    def place(self) -> str:
        """Its page, or how to bring it there."""
        return f"wandb sync {Path(self._run.dir).parent}" if self._offline else str(self._run.url)

    def send(self, lines: Iterable[JournalLine]) -> None:
        """Logs the finite values of each line."""
        for line in lines:
            values = {
                tag_of(metric, line.labels): value
                for metric, value in line.values.items()
                if math.isfinite(value)
            }
            if values:
                self._run.log({_STEP: line.step, "time": line.time, **values})

    def finish(self, comparisons: Sequence[Path]) -> None:
        """Adds the comparisons as one artefact, and closes the run once all of it is written."""
        if comparisons:
            artefact = self._wandb.Artifact(f"{self._name}-comparisons", type="comparison")
            for path in comparisons:
                artefact.add_file(str(path))
            self._run.log_artifact(artefact)
        self._run.finish()


def _check_online(environment: Mapping[str, str]) -> None:
    if environment.get(MODE) == DISABLED:
        raise UsageError(
            f"{MODE}={DISABLED}: Weights & Biases would take nothing. Unset it, or forward with "
            "--offline."
        )
    if problem := missing_login(environment):
        raise UsageError(
            f"{problem} Weights & Biases would take nothing. Set {KEY} to the key of "
            "https://wandb.ai/authorize, run `wandb login`, or forward with --offline and "
            "`wandb sync` later."
        )


def _load() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise EngineMissing(
            "wandb is not installed. `pip install 'voxmill[wandb]'`, then again."
        ) from error
    return wandb
