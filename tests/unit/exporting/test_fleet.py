"""Which runs are served, for how long, and what all of them amount to."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voxmill.exporting.fleet import Fleet
from voxmill.observability.labels import STAGES

HOUR = 3600.0
NOW = time.time()


def stamp(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).isoformat()


def write_run(
    runs: Path,
    name: str,
    *,
    until: str = "evaluate",
    last: str = "executed",
    hours_ago: float = 0.0,
    seconds: float = 10.0,
) -> Path:
    """A run whose stages up to `until` are done; the last of them ended as `last` says."""
    folder = runs / name
    folder.mkdir(parents=True)
    ago = hours_ago * HOUR
    (folder / "run.json").write_text(json.dumps({"created": stamp(ago + 100)}))
    done = STAGES[: STAGES.index(until) + 1]
    state = {
        stage: {"outcome": "executed", "attempt": 1, "seconds": seconds, "time": stamp(ago)}
        for stage in done
    }
    state[until]["outcome"] = last
    write_state(folder, state)
    return folder


def write_state(folder: Path, state: dict) -> None:
    draft = folder / ".stages.json.draft"
    draft.write_text(json.dumps(state))
    draft.replace(folder / "stages.json")


def fleet_of(tmp_path: Path, hours: float = 24.0) -> Fleet:
    return Fleet(runs=tmp_path, retention_seconds=hours * HOUR)


def names(fleet: Fleet) -> list[str]:
    return [f"{view.recipe}/{view.id}" for view in fleet.look()]


def test_a_home_without_runs_serves_nothing(tmp_path):
    """The exporter may be there before the first run."""
    fleet = fleet_of(tmp_path / "runs")
    assert fleet.look() == []
    assert fleet.recipes() == {}


def test_runs_that_ended_leave_after_the_retention_and_count_on(tmp_path):
    """What is old is in `recipe_runs`, and nowhere else."""
    write_run(tmp_path, "digits/new", hours_ago=23)
    write_run(tmp_path, "digits/old", hours_ago=25)
    write_run(tmp_path, "digits/broken", until="audit", last="failed", hours_ago=25)
    write_run(tmp_path, "digits/waiting", until="audit", hours_ago=1)
    fleet = fleet_of(tmp_path)
    assert names(fleet) == ["digits/new", "digits/waiting"]
    assert dict(fleet.recipes()["digits"].runs) == {"finished": 2, "failed": 1, "waiting": 1}
    later = Fleet(runs=tmp_path, retention_seconds=24 * HOUR, clock=lambda: NOW + 2 * HOUR)
    assert names(later) == ["digits/waiting"]


def test_a_run_leaves_while_the_exporter_looks_on(tmp_path):
    """And comes back when it goes on."""
    clock = [NOW]
    folder = write_run(tmp_path, "digits/one", until="audit", last="failed")
    fleet = Fleet(runs=tmp_path, retention_seconds=HOUR, clock=lambda: clock[0])
    assert names(fleet) == ["digits/one"]
    clock[0] += 2 * HOUR
    assert names(fleet) == []
    state = json.loads((folder / "stages.json").read_text())
    state["audit"] |= {"outcome": "executed", "time": stamp(-2 * HOUR)}
    write_state(folder, state)
    assert names(fleet) == ["digits/one"]


def test_a_finished_run_beyond_the_retention_is_never_opened_again(tmp_path):
    """Whatever becomes of its files while its folder stays as it was: nobody looks."""
    folder = write_run(tmp_path, "digits/old", hours_ago=48)
    fleet = fleet_of(tmp_path)
    fleet.look()
    mark = folder.stat().st_mtime_ns
    (folder / "stages.json").write_text("no JSON any more")
    (folder / "run.json").write_text("nor here")
    os.utime(folder, ns=(mark, mark))
    assert fleet.look() == []
    assert fleet.faults.counts == {}
    assert fleet.recipes()["digits"].runs == {"finished": 1}


def test_a_clock_that_was_ahead_keeps_no_run_for_ever(tmp_path):
    """Its end lies in the future: from when it was first seen, the retention runs."""
    clock = [NOW]
    write_run(tmp_path, "digits/ahead", hours_ago=-1000)
    fleet = Fleet(runs=tmp_path, retention_seconds=HOUR, clock=lambda: clock[0])
    assert names(fleet) == ["digits/ahead"]
    clock[0] += 2 * HOUR
    assert names(fleet) == []


def test_a_folder_that_is_deleted_is_gone_at_the_next_look(tmp_path):
    """Its series end, the others go on."""
    gone = write_run(tmp_path, "digits/gone")
    write_run(tmp_path, "digits/stays")
    fleet = fleet_of(tmp_path)
    assert names(fleet) == ["digits/gone", "digits/stays"]
    shutil.rmtree(gone)
    assert names(fleet) == ["digits/stays"]
    assert dict(fleet.recipes()["digits"].runs) == {"finished": 1}


@pytest.mark.parametrize("name", ["run.json", "stages.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"x": 1}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda content: repr(content[:9]),
)
def test_files_that_cannot_be_read_are_counted_and_the_other_runs_are_served(
    tmp_path, name, content
):
    """One broken run must not blind the exporter."""
    broken = write_run(tmp_path, "digits/broken")
    (broken / name).write_bytes(content)
    write_run(tmp_path, "digits/sound")
    fleet = fleet_of(tmp_path)
    assert "digits/sound" in names(fleet)
    assert fleet.faults.counts["run"] >= 1


@pytest.mark.parametrize("amount", ["NaN", "1e999", "1" + "0" * 400], ids=lambda amount: amount[:9])
def test_figures_that_are_no_numbers_do_not_hide_the_other_runs(tmp_path, amount):
    """A report of a stage of somebody's own may hold anything."""
    broken = write_run(tmp_path, "digits/broken")
    write_run(tmp_path, "digits/sound")
    report = broken / "artifacts" / "digits" / "prepare" / "report.json"
    report.parent.mkdir(parents=True)
    known = {"stage": "prepare", "recipe": "digits", "verdict": "passed", "checks": []}
    figures = f'{{"train": {{"utterances": {amount}, "hours": {amount}}}}}'
    report.write_text(f'{json.dumps(known)[:-1]}, "figures": {figures}}}')
    fleet = fleet_of(tmp_path)
    assert "digits/sound" in names(fleet)
    assert "digits/sound" in names(fleet)


def test_folders_without_a_run_are_no_runs(tmp_path):
    """A run that is being built, and what else lies there."""
    write_run(tmp_path, "digits/.building")
    (tmp_path / "digits" / "empty").mkdir()
    (tmp_path / "digits" / "notes.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    fleet = fleet_of(tmp_path)
    assert fleet.look() == []
    assert fleet.faults.counts == {}


def test_the_usual_time_of_a_stage_is_the_median_of_the_newest_finished_runs(tmp_path):
    """Restored stages took no time and do not count."""
    for number, seconds in enumerate([1000, 10, 20, 30]):
        write_run(tmp_path, f"digits/{number}", hours_ago=100 - number, seconds=seconds)
    write_run(tmp_path, "digits/failed", until="audit", last="failed", seconds=5000)
    write_run(tmp_path, "digits/restored", last="restored", seconds=0.0)
    fleet = fleet_of(tmp_path)
    fleet.look()
    assert fleet.recipes()["digits"].usual_seconds["train"] == 25


def test_a_commit_with_a_version_makes_a_finished_run_released(tmp_path):
    """Those that have left the retention too."""
    commit = "1234567890" * 4
    for name, hours in (("new", 1), ("old", 100)):
        folder = write_run(tmp_path, f"digits/{name}", hours_ago=hours)
        (folder / ".git" / "refs" / "heads").mkdir(parents=True)
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/run\n")
        (folder / ".git" / "refs" / "heads" / "run").write_text(f"{commit}\n")
    fleet = fleet_of(tmp_path)
    (view,) = fleet.look()
    assert view.state == "finished"
    assert fleet.recipes()["digits"].candidate is not None
    fleet.released = frozenset({commit})
    (view,) = fleet.look()
    assert view.state == "released"
    assert dict(fleet.recipes()["digits"].runs) == {"released": 2}
    assert fleet.recipes()["digits"].candidate is None


def test_a_thousand_runs_are_looked_at_and_only_those_of_late_are_served(tmp_path):
    """Every one of them is counted, none is lost."""
    for number in range(1000):
        write_run(tmp_path, f"digits/{number:04}", hours_ago=number / 10 + 0.05)
    fleet = fleet_of(tmp_path)
    first = names(fleet)
    assert first == [f"digits/{number:04}" for number in range(240)]
    assert names(fleet) == first
    assert dict(fleet.recipes()["digits"].runs) == {"finished": 1000}
