"""`voxmill exporter` from outside: a process that is scraped over HTTP, beside real runs."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from toys.monitored_run import MonitoredRun, release
from toys.scraped_exporter import Series, exporting, of
from toys.toy_project import ToyProject, make_project
from voxmill.exporting.exposition import METRIC_OF_SERIES
from voxmill.observability.catalogue import allowed_values
from voxmill.observability.metric import NAMED

FAKES = Path(__file__).resolve().parents[1] / "fakes"


@pytest.fixture
def toy(tmp_path: Path) -> ToyProject:
    return make_project(tmp_path)


def stage_is(state: str, stage: str, run: str) -> Callable[[Series], bool]:
    labels = {"recipe": "digits", "run": run, "stage": stage, "state": state}
    return lambda series: series.get(of("voxmill_stage_state", **labels)) == 1.0


def test_a_real_run_is_seen_from_its_first_stage_to_its_release(toy: ToyProject) -> None:
    """Real git, DVC, wardens and jobs; the exporter only reads."""
    toy.order("train.sleep", 3)
    run = toy.open("one")
    me = {"recipe": "digits", "run": "one"}
    with exporting(toy, "--release-seconds", "1") as exporter:
        assert exporter.value("voxmill_run_state", **me, state="waiting") == 1.0
        worker = threading.Thread(target=toy.run_all, args=(run,))
        worker.start()
        training = exporter.until(stage_is("running", "train", "one"))
        assert training[of("voxmill_run_state", **me, state="running")] == 1.0
        assert training[of("voxmill_stage_state", **me, stage="evaluate", state="pending")] == 1.0
        worker.join()
        finished = exporter.until(
            lambda series: series.get(of("voxmill_run_state", **me, state="finished")) == 1.0
        )
        assert finished[of("voxmill_stage_seconds", **me, stage="train")] > 3.0
        assert finished[of("voxmill_stage_usual_seconds", **me, stage="train")] > 3.0
        passed = {"stage": "audit", "verdict": "passed"}
        assert finished[of("voxmill_stage_checks", **me, **passed)] == 1.0
        measured = {"split": "test", "artefact": "onnx-fp32"}
        challenger = {"recipe": "digits", "role": "challenger", "version": "unreleased"}
        exporter.until(
            lambda s: s.get(of("voxmill_release_wer_ratio", **challenger, **measured)) == 0.03
        )
        from voxmill.runs.release import release as release_run

        release_run(toy.project, run)
        champion = challenger | {"role": "champion", "version": "v0.1.0"}
        released = exporter.until(
            lambda s: s.get(of("voxmill_run_state", **me, state="released")) == 1.0
        )
        assert released[of("voxmill_release_wer_ratio", **champion, **measured)] == 0.03
        assert of("voxmill_release_wer_ratio", **challenger, **measured) not in released


def test_every_series_is_catalogued_with_its_labels(toy: ToyProject, tmp_path: Path) -> None:
    """No name, label or label value that the catalogue does not have; runs are named by `run`."""
    gpus = tmp_path / "gpus.json"
    gpus.write_text(json.dumps([{"utilisation": 93}, {"utilisation": 1, "lost": True}]))
    release(toy, "v0.1.0")
    run = busy_run(toy, "now")
    run.backup(verified_seconds_ago=60)
    environ = {"PYTHONPATH": str(FAKES / "nvml"), "FAKE_NVML": str(gpus)}
    with exporting(toy, "--release-seconds", "1", **environ) as exporter:
        series = exporter.until(lambda s: any("release_wer" in name for name, _ in s))
    own = [key for key in series if key[0].startswith(("voxmill_", "airflow_"))]
    assert len(own) > 150
    for name, pairs in own:
        metric, labels = METRIC_OF_SERIES[name], dict(pairs)
        assert set(labels) == set(metric.exported_labels), name
        for label, value in labels.items():
            allowed = allowed_values(metric.name, label)
            assert NAMED.fullmatch(value) if allowed is None else value in allowed, (name, labels)
            assert label == "run" or value != run.id, (name, labels)
    assert {name for name, _ in series} - {name for name, _ in own} <= set(METRIC_OF_SERIES)


def test_journals_gpus_and_backups_are_told_as_they_change(toy: ToyProject, tmp_path: Path) -> None:
    """What alerts need: NaN stays NaN, a lost GPU is 0, the newest checkpoint has a time."""
    gpus = tmp_path / "gpus.json"
    gpus.write_text(json.dumps([{"utilisation": 93}]))
    run = busy_run(toy, "now")
    me = {"recipe": "digits", "run": "now"}
    environ = {"PYTHONPATH": str(FAKES / "nvml"), "FAKE_NVML": str(gpus)}
    with exporting(toy, **environ) as exporter:
        series = exporter.scrape()
        assert series[of("voxmill_train_loss", **me)] == 2.5
        assert series[of("voxmill_run_gpus", **me)] == 1.0
        assert series[of("voxmill_gpu_expected")] == 1.0
        assert series[of("voxmill_gpu_utilisation_ratio", gpu="0")] == 0.93
        assert of("voxmill_backup_bytes", **me) not in series
        journal = series[of("voxmill_journal_last_line_timestamp_seconds", **me)]
        assert abs(time.time() - journal) < 60
        checkpoint = series[of("voxmill_checkpoint_timestamp_seconds", **me)]
        assert abs(time.time() - 120 - checkpoint) < 60
        run.journal({"voxmill_train_loss": None}, step=11)
        (run.work / "journal" / "1.jsonl").open("a").write("broken\n")
        run.backup(verified_seconds_ago=60)
        gpus.write_text(json.dumps([{"utilisation": 93, "lost": True, "xid": 1}]))
        series = exporter.until(lambda s: s.get(of("voxmill_gpu_up", gpu="0")) == 0.0)
        series = exporter.until(lambda s: of("voxmill_backup_bytes", **me) in s)
        assert series[of("voxmill_train_loss", **me)] != series[of("voxmill_train_loss", **me)]
        assert series[of("voxmill_journal_broken_lines_total", **me)] == 1.0
        assert series[of("voxmill_gpu_found")] == 0.0
        assert series[of("voxmill_run_gpu_seconds", **me)] > 100


def test_a_deleted_run_is_gone_and_the_exporter_goes_on(toy: ToyProject) -> None:
    """`rm -rf` of a run is an everyday thing."""
    gone, stays = busy_run(toy, "gone"), busy_run(toy, "stays")
    with exporting(toy) as exporter:
        exporter.until(stage_is("running", "train", "gone"))
        shutil.rmtree(gone.folder)
        series = exporter.until(lambda s: s[of("voxmill_exporter_runs")] == 1.0)
        assert not any(("run", "gone") in labels for _, labels in series)
        stays.journal({"voxmill_train_loss": 1.25}, step=11)
        loss = of("voxmill_train_loss", recipe="digits", run="stays")
        exporter.until(lambda s: s[loss] == 1.25)


def test_a_killed_exporter_loses_nothing_that_was_in_the_journals(toy: ToyProject) -> None:
    """Its state is what the files say: the next one reads them again."""
    run = busy_run(toy, "now")
    with exporting(toy) as exporter:
        before = exporter.scrape()
        exporter.process.send_signal(signal.SIGKILL)
        exporter.process.wait()
        run.journal({"voxmill_train_loss": 1.5}, step=12)
    with exporting(toy) as exporter:
        after = exporter.scrape()
    labels = {"recipe": "digits", "run": "now"}
    assert after[of("voxmill_train_loss", **labels)] == 1.5
    assert {key for key in before if key[0].startswith("voxmill_train_")} == {
        key for key in after if key[0].startswith("voxmill_train_")
    }


def test_a_taken_port_is_said_in_a_sentence(toy: ToyProject) -> None:
    """Exit code 64, and which option to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "voxmill.cli.main", "exporter"]
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*command, "--port", port, "--statsd-port", "0"],
            cwd=toy.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 64
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_health_and_other_paths_answer(toy: ToyProject) -> None:
    """For whoever keeps it alive, and whoever mistypes."""
    with exporting(toy) as exporter:
        base = f"http://127.0.0.1:{exporter.port}"
        with urllib.request.urlopen(f"{base}/-/healthy", timeout=10) as reply:
            assert reply.read() == b"ok\n"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/metric", timeout=10)


def test_whoever_goes_before_the_answer_is_an_event_and_no_trace(toy: ToyProject) -> None:
    """Prometheus gives up at its timeout; `exporting` looks for traces."""
    with exporting(toy) as exporter:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", exporter.port)) as client:
                reset = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert exporter.value("voxmill_exporter_runs") == 0


def busy_run(toy: ToyProject, run_id: str) -> MonitoredRun:
    """A run in whose training one GPU is busy."""
    run = MonitoredRun.open(toy, run_id, gpus=1)
    run.done("ingest")
    reasons = {"too_short": 3, "unreadable_audio": 1}
    run.done("audit", checks=(("sound", True), ("balance", False)), figures={"reasons": reasons})
    run.waive("audit.balance")
    run.done("prepare", figures={"train": {"utterances": 90, "hours": 0.5}, "skipped": 2})
    run.begin("train", seconds_ago=150)
    run.journal({"voxmill_train_resumed_step": 0.0}, step=0)
    run.journal({"voxmill_checkpoint_step": 5.0}, step=5, seconds_ago=120)
    run.journal({"voxmill_train_loss": 2.5, "voxmill_train_step": 10.0}, step=10)
    run.journal({"voxmill_wer_ratio": 0.5}, step=10, labels={"split": "validation"})
    run.journal({"voxmill_packaged_bytes": 1e6}, step=0, labels={"artefact": "hf"})
    run.journal({"voxmill_of_another_version": 1.0}, step=10)
    run.journal({"voxmill_wer_ratio": 0.5}, step=10, labels={"split": "no name/at all"})
    return run
