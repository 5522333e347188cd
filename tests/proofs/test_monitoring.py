"""Proof: a real training is seen, and every alert reaches a webhook when its thing breaks.

Real Prometheus, Alertmanager and `voxmill exporter` on loopback. The rules are the real ones with
shorter times: a second stands for a minute in `for`, `keep_firing_for`, ranges, offsets, the four
limits in seconds 900, 1800, 3600 and 7200, and Alertmanager's waits (`toys.monitoring.shortened`);
ratios and counts are as they are. Scraped and evaluated each second.

Broken for real: the trainer (SIGSTOP, SIGKILL), the exporter, the webhook, a small disk, journals,
run folders, gates. For what this machine lacks there stand a fake NVML, StatsD lines as Airflow
sends them, the page of another machine (memory, two series that clash) and the files of backups.

Takes about five minutes. `make proof AREA=monitoring`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from toys.ailing_runs import AilingProject, ticking
from toys.monitoring import REPOSITORY, Watched, Webhook, monitoring, shortened, webhook
from toys.other_machine import OtherMachine, other_machine
from toys.programs import program
from toys.small_disk import small_disk
from toys.toy_project import make_project
from voxmill.launchers.jobs import JobFiles

SMALL_MEBIBYTES = 48
CUT = {
    "source.utterances": 300, "source.voices": 20, "train.epochs": 40, "train.max_steps": 60,
    "train.batch_seconds": 20, "train.threads": 1, "train.warmup_steps": 5,
}  # fmt: skip
"""The recipe digits, cut to two minutes; it learns nothing, and its gates may fail."""
SOON = 90.0
ALL_RULES = [
    rule["alert"]
    for path in sorted((REPOSITORY / "monitoring/prometheus/rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


@pytest.fixture(autouse=True, scope="module")
def programs() -> None:
    program("prometheus")
    program("prometheus-alertmanager")


@dataclass
class Outside:
    """Airflow, and another machine: well, or not."""

    watched: Watched
    other: OtherMachine
    began: float = field(default_factory=time.monotonic)
    clashing: bool = True
    """While set, the other machine serves two series that one rule makes alike."""
    ticks: int = 0

    def tick(self) -> None:
        self.ticks += 1
        if time.monotonic() - self.began < 10:  # then the scheduler is silent
            self.watched.say("airflow.scheduler.heartbeat:1|c")
        self.watched.say("airflow.dag_processing.import_errors:1|g")
        text = "voxmill_host_memory_total_bytes 32e9\nvoxmill_host_memory_available_bytes 1e9\n"
        for recipe in ("a", "b") if self.clashing else ():
            series = f'airflow_dagrun_failed_total{{dag_id="clash",recipe="{recipe}"}}'
            text += f"{series} {self.ticks}\n"
        self.other.text = text


@dataclass
class Lab:
    """A project of ailing runs, watched."""

    watched: Watched
    hook: Webhook
    ailing: AilingProject
    outside: Outside
    nvml: Path
    small: Path

    def told(self, name: str, status: str = "firing", seconds: float = SOON, **labels: str) -> None:
        """Waits until the webhook was told, and reads the notice as a person would."""
        tell(self.hook, name, status, seconds, **labels)

    def gpus(self, *gpus: dict[str, object]) -> None:
        """What the fake NVML says from now on."""
        draft = self.nvml.with_suffix(".draft")
        draft.write_text(json.dumps(gpus))
        draft.replace(self.nvml)


def tell(hook: Webhook, name: str, status: str, seconds: float, **labels: str) -> None:
    """Waits for a notice, and makes sure that all of it can be read and followed."""
    wait_until(lambda: bool(hook.alerts(name, status, **labels)), seconds, (name, status, labels))
    notice = hook.alerts(name, status, **labels)[0]
    for text in notice["annotations"].values():
        assert "<no value>" not in text
        assert "<error" not in text
    assert notice["annotations"]["dashboard"].startswith("http://127.0.0.1:3000/d/voxmill-")
    assert notice["annotations"]["runbook_url"] == f"monitoring/runbook.md#{name.lower()}"
    assert notice["labels"]["severity"] in {"critical", "warning"}
    assert not {"grafana", "airflow", "runbook"} & notice["labels"].keys()


def wait_until(done: Callable[[], bool], seconds: float, what: object) -> None:
    """Looks again and again."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Ailing runs under shortened rules, ticking from now on."""
    folder = tmp_path_factory.mktemp("lab")
    nvml = folder / "nvml.json"
    nvml.write_text(json.dumps([{"utilisation": 0}, {"utilisation": 0}]))
    with (
        small_disk(folder / "small", mebibytes=SMALL_MEBIBYTES) as small,
        other_machine() as other,
        webhook() as hook,
    ):
        (small / "taken").write_bytes(bytes(int(SMALL_MEBIBYTES * 0.61) << 20))
        ailing = AilingProject(make_project(folder), small)
        configuration = shortened(folder / "configuration")
        targets = configuration / "prometheus" / "targets" / "exporters-other.yml"
        targets.write_text(yaml.safe_dump([{"targets": [other.address]}]))
        environ = {"FAKE_NVML": str(nvml), "VOXMILL_REMOTE": str(small)}
        with (
            ticking(ailing.tick),
            monitoring(
                ailing.toy.root,
                folder,
                configuration=configuration,
                webhook=hook.url,
                environ=environ,
            ) as watched,
        ):
            outside = Outside(watched, other)
            with ticking(outside.tick):
                yield Lab(watched, hook, ailing, outside, nvml, small)


@pytest.mark.parametrize(
    ("alert", "labels"),
    [
        ("TrainingNotFinite", {"recipe": "nan"}),
        ("TrainingRegressed", {"recipe": "regressed"}),
        ("TrainingCollapsed", {"recipe": "collapsed"}),
        ("TrainingStalled", {"recipe": "silent"}),
        ("CheckpointOverdue", {"recipe": "unsaved"}),
        ("TrainingExploded", {"recipe": "exploded"}),
        ("TrainingStarved", {"recipe": "starved"}),
        ("RunFailed", {"recipe": "failed"}),
        ("TrainingGaveUp", {"recipe": "gave-up", "reason": "stuck"}),
        ("StageOverdue", {"recipe": "late", "stage": "ingest"}),
        ("BackupStale", {"recipe": "unbacked"}),
        ("BackupUnverified", {"recipe": "unverified"}),
        ("GateUnanswered", {"recipe": "gate"}),
        ("RunAbandoned", {"recipe": "stopped"}),
        ("GpuIdle", {}),
        ("HostMemoryShort", {}),
        ("RulesFailing", {}),
        ("DagUnreadable", {}),
        ("SchedulerSilent", {}),
        ("ExporterBlind", {"reason": "run"}),
        ("DiskFilling", {"place": "remote"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_thing_is_told(lab: Lab, alert: str, labels: dict[str, str]) -> None:
    """Each alert reaches the webhook with the labels of what is broken."""
    lab.told(alert, **labels)


def test_a_failed_dag_is_told(lab: Lab) -> None:
    """The clash goes, so that the rule can be evaluated; Airflow's next failure comes through."""
    lab.outside.clashing = False
    lab.watched.wait_for('absent(airflow_dagrun_failed_total{dag_id="clash"})')
    lab.watched.say("airflow.dagrun.duration.failed,dag_id=digits:1000|ms")
    lab.told("DagFailed", recipe="digits")


def test_a_full_disk_is_told_and_one_with_room_again_too(lab: Lab) -> None:
    """The small disk is filled to its end, and then emptied."""
    lab.told("DiskNearlyFull", place="remote")
    for name in ("filling", "taken"):
        (lab.small / name).unlink()
    lab.told("DiskNearlyFull", "resolved", place="remote")


def test_a_lost_gpu_is_told(lab: Lab) -> None:
    """One of two is idle and the other one falls off the bus, in the middle of a run."""
    lab.gpus({"utilisation": 0}, {"utilisation": 0, "lost": True})
    lab.told("GpuLost")


def test_a_webhook_that_refuses_is_told_when_it_listens_again(lab: Lab) -> None:
    """Meanwhile an XID error has happened: its notice comes late, and comes."""
    lab.hook.refusing = True
    lab.gpus({"utilisation": 0, "xid": 1}, {"utilisation": 0})
    lab.watched.wait_for('ALERTS{alertname="AlertsUndelivered", alertstate="firing"}', SOON)
    assert not lab.hook.alerts("GpuErrors")
    lab.hook.refusing = False
    lab.told("AlertsUndelivered")
    lab.told("GpuErrors", gpu="0")


def test_what_is_mended_is_told_too(lab: Lab) -> None:
    """The loss is finite again, and a person answers the gate."""
    lab.ailing.trainings["nan"].training = {}
    gate = lab.ailing.toy.project.runs / "gate" / "one"
    line = {"run": "one", "check": "ingest.files", "who": "a", "why": "b", "when": "c"}
    (gate / "memory" / "gate" / "waivers.jsonl").write_text(json.dumps(line) + "\n")
    lab.told("TrainingNotFinite", "resolved", recipe="nan")
    lab.told("GateUnanswered", "resolved", recipe="gate")


def test_nothing_was_told_of_the_run_that_is_well(lab: Lab) -> None:
    """It trained all the time beside the others."""
    assert lab.watched.query('run:voxmill_training:on{recipe="well"}')
    assert not [alert for alert in lab.hook.received if alert["labels"].get("recipe") == "well"]


def test_an_exporter_that_ends_is_told_and_mutes_the_rest(lab: Lab) -> None:
    """No "resolved" of alerts that are only out of sight; all is seen again after its restart."""
    exporter = lab.watched.monitors.process("exporter")
    already = len(lab.hook.alerts("TrainingStalled", "resolved"))
    exporter.terminate()
    exporter.wait(20)
    lab.told("ExporterDown")
    assert len(lab.hook.alerts("TrainingStalled", "resolved")) == already
    lab.watched.monitors.start("exporter", lab.watched.exporter_command)
    lab.told("ExporterDown", "resolved")
    lab.watched.wait_for('run:voxmill_training:on{recipe="well"}')


def test_no_alert_was_left_out(lab: Lab) -> None:
    """Every alert of the rule files has reached the webhook in this module."""
    told = {alert["labels"]["alertname"] for alert in lab.hook.received}
    assert told == set(ALL_RULES)


def test_a_real_training_is_seen_stalled_killed_and_resumed(tmp_path: Path) -> None:
    """A small `digits`: its series grow; SIGSTOP, SIGKILL and the way back are told."""
    project = clone(tmp_path / "voxmill")
    configuration = shortened(tmp_path / "configuration")
    with (
        webhook() as hook,
        monitoring(project, tmp_path, configuration=configuration, webhook=hook.url) as watched,
    ):
        overrides = [part for key, value in CUT.items() for part in ("--set", f"{key}={value}")]
        run = start(project, "run", "digits", "--run-id", "real", *overrides)
        on = 'run:voxmill_training:on{recipe="digits", run="real"}'
        watched.wait_for(on, 240)
        watched.wait_for("voxmill_evaluation_seconds", 120)
        watched.wait_for("delta(voxmill_train_step[10s]) > 0", 60)
        assert watched.query('voxmill_train_loss{recipe="digits", run="real"} > 0')
        assert watched.query('voxmill_stage_state{stage="prepare", state="done"} == 1')
        assert watched.query('voxmill_dataset_utterances{split="train"} > 0')
        trainer = trainer_of(project)
        os.kill(trainer, signal.SIGSTOP)
        tell(hook, "TrainingStalled", "firing", SOON, run="real")
        os.kill(trainer, signal.SIGCONT)
        tell(hook, "TrainingStalled", "resolved", SOON, run="real")
        os.kill(trainer, signal.SIGKILL)
        assert run.wait(60) != 0
        tell(hook, "RunFailed", "firing", SOON, run="real")
        again = start(project, "resume", "real", "--until", "train")
        tell(hook, "RunFailed", "resolved", SOON, run="real")
        assert again.wait(300) == 0
        watched.wait_for('voxmill_stage_state{stage="train", state="done"} == 1')
        assert watched.query("voxmill_train_restarts == 1")
        assert {alert["labels"]["alertname"] for alert in hook.received} <= {
            "TrainingStalled",
            "RunFailed",
        }


def clone(folder: Path) -> Path:
    """What is committed, in a project of its own."""
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
    for command in (
        ["checkout", "--quiet", "-B", "main"],
        ["config", "user.name", "proof"],
        ["config", "user.email", "proof@example.org"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def start(project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A voxmill command in the background; what it says goes to a file beside the project."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("VOXMILL_", "GIT_"))}
    with (project.parent / f"{arguments[0]}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "voxmill.cli.main", *arguments],
            cwd=project,
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def trainer_of(project: Path) -> int:
    """The process id of the training job."""
    work = project / ".voxmill" / "runs" / "digits" / "real" / "work" / "digits"
    job = JobFiles(work, "train").record()
    assert job is not None
    return job.child_pid
