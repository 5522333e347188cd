"""A run as its files tell it, written by hand: for the exporter, dashboards and alerts.

run = MonitoredRun.open(project, "one")
run.done("ingest"); run.begin("train", seconds_ago=3600)
run.journal({"voxmill_train_loss": 2.5}, step=10)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from toys.toy_project import ToyProject, git
from voxmill.launchers.jobs import JobFiles, JobRecord
from voxmill.launchers.processes import identify
from voxmill.runs.run import RunRecord
from voxmill.runs.state import StageRecord, write_record

Check = tuple[str, bool]
"""Name, and whether it passed."""


@dataclass(frozen=True)
class MonitoredRun:
    """The folder of a run whose stages nobody runs."""

    folder: Path
    recipe: str
    id: str

    @classmethod
    def open(
        cls,
        toy: ToyProject,
        run_id: str,
        *,
        recipe: str = "digits",
        seconds_ago: float = 3600.0,
        gpus: int = 0,
    ) -> MonitoredRun:
        """A run that was opened so long ago and has done nothing yet.

        Args:
            toy: The project that it belongs to.
            run_id: Its id.
            recipe: The recipe's name.
            seconds_ago: When it was opened.
            gpus: That its stages ask for.
        """
        folder = toy.project.runs / recipe / run_id
        (folder / "recipes").mkdir(parents=True)
        (folder / "memory" / recipe).mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=run")
        snapshot = json.loads((toy.root / "pipeline.json").read_text())
        snapshot["recipes"] = {recipe: next(iter(snapshot["recipes"].values()))}
        (folder / "pipeline.json").write_text(json.dumps(snapshot))
        sections = yaml.safe_load((toy.root / "recipes" / "digits.yaml").read_text())
        sections["resources"] = {"gpus": gpus}
        (folder / "recipes" / f"{recipe}.yaml").write_text(yaml.safe_dump(sections))
        RunRecord(
            recipe=recipe, id=run_id, airflow_run_id=None, base_commit="0" * 40, voxmill="0",
            created=_stamp(seconds_ago), user="Toy Maker <toy@example.org>",
        ).write(folder)  # fmt: skip
        return cls(folder, recipe, run_id)

    @property
    def work(self) -> Path:
        return self.folder / "work" / self.recipe

    def done(
        self,
        stage: str,
        *,
        seconds: float = 60.0,
        seconds_ago: float = 60.0,
        checks: Sequence[Check] = (("sound", True),),
        figures: Mapping[str, object] | None = None,
    ) -> None:
        """The stage ended so long ago, with these checks and figures in its report."""
        passed = all(good for _, good in checks)
        verdict = "passed" if passed else "failed"
        report = {
            "stage": stage, "recipe": self.recipe, "verdict": verdict, "outputs": {},
            "checks": [
                {"name": name, "value": 1.0, "limit": "at most 2", "passed": good}
                for name, good in checks
            ],
            "figures": dict(figures or {}), "seconds": seconds, "peak_memory_bytes": 1 << 30,
        }  # fmt: skip
        out = self.folder / "artifacts" / self.recipe / stage
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(report))
        self._record(
            stage,
            StageRecord(
                outcome="executed", attempt=1, verdict=verdict, seconds=seconds, exit_code=0,
                time=_stamp(seconds_ago),
            ),
        )  # fmt: skip
        JobFiles(self.work, stage).job.unlink(missing_ok=True)

    def begin(self, stage: str, *, seconds_ago: float = 0.0, attempt: int = 1) -> None:
        """A job of the stage goes on, kept by this very process."""
        me = identify(os.getpid())
        assert me is not None
        files = JobFiles(self.work, stage)
        files.folder.mkdir(parents=True, exist_ok=True)
        job = JobRecord(
            run=f"{self.recipe}-{self.id}", stage=stage, attempt=attempt, command=["none"],
            fingerprint="none", log=files.log(attempt), started=time.time() - seconds_ago,
            grace_seconds=1.0, pid=me.pid, ticks=me.start_ticks, child_pid=me.pid,
            child_ticks=me.start_ticks,
        )  # fmt: skip
        draft = files.job.with_suffix(".draft")
        draft.write_text(job.model_dump_json())
        draft.replace(files.job)
        self._record(
            stage, StageRecord(outcome="started", attempt=attempt, time=_stamp(seconds_ago))
        )

    def end(self, stage: str, outcome: str, *, exit_code: int, attempt: int = 1) -> None:
        """The stage `failed` or was `stopped` just now."""
        JobFiles(self.work, stage).job.unlink(missing_ok=True)
        self._record(
            stage,
            StageRecord(outcome=outcome, attempt=attempt, exit_code=exit_code, time=_stamp(0)),
        )

    def journal(
        self,
        values: Mapping[str, float | None],
        *,
        step: int,
        labels: Mapping[str, str] | None = None,
        attempt: int = 1,
        seconds_ago: float = 0.0,
    ) -> None:
        """Appends a line as the recorder writes it; None stands for a value that is not finite."""
        folder = self.work / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{attempt}.jsonl"
        moment = time.time() - seconds_ago
        line = {
            "attempt": attempt, "labels": dict(labels or {}), "step": step, "time": moment,
            "values": dict(values),
        }  # fmt: skip
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")

    def backup(self, *, verified_seconds_ago: float | None, failures: int = 0) -> None:
        """The state that the backup leaves behind."""
        folder = self.work / "backup"
        folder.mkdir(parents=True, exist_ok=True)
        verified = None if verified_seconds_ago is None else time.time() - verified_seconds_ago
        state = {"verified": verified, "bytes": 123_456_789, "failures": failures}
        (folder / "state.json").write_text(json.dumps(state))

    def waive(self, check: str) -> None:
        """Somebody lets a failed check pass."""
        line = {"run": self.id, "check": check, "who": "toy", "why": "a toy", "when": _stamp(0)}
        with (self.folder / "memory" / self.recipe / "waivers.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _record(self, stage: str, record: StageRecord) -> None:
        write_record(self.folder, stage, record)


def release(toy: ToyProject, version: str, *, recipe: str = "digits", wer: float = 0.05) -> None:
    """Tags the project's commit as a version with figures, and makes it the champion."""
    figures = {
        "test": {
            artefact: {"wer": wer, "cer": wer / 2, "real_time_factor": 0.02}
            for artefact in ("hf", "onnx-fp32", "onnx-int8")
        },
        "sizes": {"hf": 4_000_000, "onnx-fp32": 4_000_000, "onnx-int8": 1_200_000},
    }
    git(toy.root, "commit", "--quiet", "--allow-empty", f"--message=For {version}")
    message = f"Release {recipe} {version}\n\n{json.dumps(figures)}"
    git(toy.root, "tag", "--annotate", f"{recipe}@{version}", "--message", message)
    number = 1 + len(git(toy.root, "tag", "--list", f"{recipe}#champion#*").split())
    tag = f"{recipe}#champion#{number}"
    git(toy.root, "tag", "--annotate", tag, "--message", f"Make {version} the champion")


def _stamp(seconds_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()
