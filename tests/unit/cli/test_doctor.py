"""The doctor tells what is there, what is missing, and what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from voxmill.cli import doctor, machine
from voxmill.cli.machine import Finding
from voxmill.errors import EngineMissing


def test_it_looks_at_everything_though_a_daemon_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that never answers must not hold up the rest."""
    hanging = tmp_path / "docker"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    start = time.perf_counter()
    findings = {finding.name: finding for finding in machine.examine({}, tmp_path)}
    assert time.perf_counter() - start < 30, "waited for a daemon that sleeps for 60 s"
    assert set(findings) == {
        *("python", "workshop", "office", "torch", "espeak-ng", "git", "dvc remote", "disk"),
        *("memory", "cores", "gpu", "docker"),
    }
    assert "timed out" in findings["docker"].found
    assert "--launcher process" in findings["docker"].remedy


def test_a_missing_program_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker and a GPU can be done without; git cannot."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (machine.git().remedy, machine.git().needed) == ("install git", True)
    assert machine.docker().found == "no client"
    assert not machine.docker().needed
    assert not machine.gpu().needed


def test_the_remote_is_tried(tmp_path: Path) -> None:
    """A folder must be writeable; a host must answer."""
    assert machine.remote(tmp_path / "home", {}).ok
    nobody = machine.remote(tmp_path, {"VOXMILL_REMOTE": "ssh://127.0.0.1:9/x"})
    assert "127.0.0.1:9 answers" in nobody.remedy
    away = {"VOXMILL_REMOTE": "s3://bucket/x", "VOXMILL_S3_ENDPOINT": "http://127.0.0.1:9"}
    assert "127.0.0.1:9 answers" in machine.remote(tmp_path, away).remedy
    wrong = machine.remote(tmp_path, {"VOXMILL_REMOTE": "gs://bucket/x"})
    assert "expected a folder" in wrong.remedy


def test_a_remote_that_cannot_be_written_to_is_missing(tmp_path: Path) -> None:
    """Nothing could be pushed there; below a file not even root can make a folder."""
    (tmp_path / "home").write_text("a file where a folder should be")
    assert not machine.remote(tmp_path / "home", {}).ok


def test_a_small_disk_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder and how to choose another."""
    monkeypatch.setattr(machine, "DISK_BYTES", 2**62)
    finding = machine.disk(tmp_path / "not" / "there" / "yet")
    assert not finding.ok
    assert "VOXMILL_HOME" in finding.remedy


def test_the_table_has_a_line_for_each_and_an_arrow_for_each_remedy() -> None:
    """State first, so that the eye runs down one column."""
    text = doctor.table(
        [
            Finding(name="git", found="2.39"),
            Finding(name="docker", found="no client", remedy="install docker", needed=False),
            Finding(name="espeak-ng", found="not installed", remedy="make setup"),
        ]
    )
    assert text.splitlines() == [
        "ok       git        2.39",
        "without  docker     no client",
        "                    -> install docker",
        "missing  espeak-ng  not installed",
        "                    -> make setup",
    ]


@pytest.mark.parametrize(("needed", "fails"), [(True, True), (False, False)])
def test_only_what_the_demo_needs_ends_with_69(
    needed: bool, fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without a GPU is ready; one without git is not."""
    finding = Finding(name="thing", found="not there", remedy="get it", needed=needed)
    monkeypatch.setattr(machine, "examine", lambda _environ, _project: [finding])
    if fails:
        with pytest.raises(EngineMissing, match="see thing above") as caught:
            doctor.doctor()
        assert caught.value.exit_code == 69
    else:
        doctor.doctor()
        assert "Ready for `make demo`" in capsys.readouterr().out
