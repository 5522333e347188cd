"""From a stage's name to its finished output, with a launcher that calls a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.launcher import FakeLauncher
from toys.checkout import finished_ingest, good, toy_checkout, write_report
from voxmill.errors import DataError, GateRefused, UsageError
from voxmill.launchers.launcher import StageRun
from voxmill.launchers.stage_launch import launch_stage


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return toy_checkout(tmp_path)


FAILED = {
    "verdict": "failed",
    "checks": [
        {
            "name": "ingest.lost",
            "value": 0.3,
            "limit": "at most 0.1",
            "passed": False,
            "help": "Look at problems.jsonl.",
        },
        {"name": "ingest.count", "value": 12, "limit": "at least 10", "passed": True},
    ],
}


def test_a_finished_stage_has_its_output_under_its_name(checkout: Path) -> None:
    """The partial folder is gone, so that nobody takes half an output for a whole one."""
    result = launch_stage(checkout, "digits", "ingest", FakeLauncher(good))
    out = checkout / "artifacts" / "digits"
    assert result.exit_code == 0
    assert (out / "ingest" / "made.txt").read_text() == "ingest"
    assert sorted(path.name for path in out.iterdir()) == ["ingest"]


def test_a_new_output_replaces_the_old_one_as_a_whole(checkout: Path) -> None:
    """No file of the old output stays among the new ones."""
    old = checkout / "artifacts" / "digits" / "ingest"
    old.mkdir(parents=True)
    (old / "old.txt").write_text("old")
    launch_stage(checkout, "digits", "ingest", FakeLauncher(good))
    assert sorted(path.name for path in old.iterdir()) == ["made.txt", "report.json"]


@pytest.mark.parametrize("code", [1, 65, 70, 75, 137])
def test_a_stage_that_fails_leaves_the_old_output_and_its_code(checkout: Path, code: int) -> None:
    """Nothing that was finished is lost by trying again."""
    old = checkout / "artifacts" / "digits" / "ingest" / "old.txt"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    result = launch_stage(checkout, "digits", "ingest", FakeLauncher(lambda run: code))
    assert result.exit_code == code
    assert old.read_text() == "old"


def spoil_nothing(run: StageRun) -> None:
    (run.out / "report.json").unlink()


def spoil_file(run: StageRun) -> None:
    (run.out / "made.txt").write_text("shorter or longer")


def spoil_json(run: StageRun) -> None:
    (run.out / "report.json").write_text('{"stage": "ingest"')


def spoil_stage(run: StageRun) -> None:
    write_report(run.out, "train")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_nothing, "No .*report.json"),
        (spoil_file, "made.txt has 17 bytes; the report says 6 bytes"),
        (spoil_json, "is no stage report"),
        (spoil_stage, "speaks of train of digits; expected ingest of digits"),
    ],
)
def test_an_output_that_its_report_does_not_bear_out_is_refused(
    checkout: Path, spoil: Callable[[StageRun], None], words: str
) -> None:
    """Exit code 0 is not enough: the files must be those that the report lists."""

    def spoiled(run: StageRun) -> int:
        good(run)
        spoil(run)
        return 0

    with pytest.raises(DataError, match=words):
        launch_stage(checkout, "digits", "ingest", FakeLauncher(spoiled))
    assert not (checkout / "artifacts" / "digits" / "ingest").exists()
    assert not (checkout / "artifacts" / "digits" / "ingest.partial" / "report.json").exists()


def test_a_failed_gate_is_a_good_end_for_the_stage_and_stops_the_next(checkout: Path) -> None:
    """The refusal names check, value, limit, advice and the way past it."""

    def gate_failed(run: StageRun) -> int:
        write_report(run.out, "ingest", **FAILED)
        return 0

    assert launch_stage(checkout, "digits", "ingest", FakeLauncher(gate_failed)).exit_code == 0
    never = FakeLauncher(good)
    with pytest.raises(GateRefused) as refused:
        launch_stage(checkout, "digits", "audit", never)
    assert str(refused.value).splitlines() == [
        "Stage audit of digits may not start: earlier checks failed.",
        "  ingest: ingest.lost: 0.3, limit: at most 0.1. Look at problems.jsonl.",
        "Repair the cause and run that stage again, or accept it by name:",
        '  voxmill waive manual "ingest.lost" --why "..."',
    ]
    assert (refused.value.stage, refused.value.checks) == ("ingest", ("ingest.lost",))
    assert never.runs == []


def waive(checkout: Path, run: str) -> None:
    line = {"run": run, "check": "ingest.lost", "who": "me", "why": "known", "when": "now"}
    (checkout / "memory" / "digits" / "waivers.jsonl").write_text(json.dumps(line) + "\n")


def test_a_waiver_opens_the_gate_for_its_own_run_only(checkout: Path) -> None:
    """What was accepted once must not hold for ever."""
    finished_ingest(checkout, **FAILED)
    (checkout / "run.json").write_text('{"recipe": "digits", "id": "second", "base": "x"}')
    waive(checkout, "first")
    with pytest.raises(GateRefused, match=r'voxmill waive second "ingest.lost"'):
        launch_stage(checkout, "digits", "audit", FakeLauncher(good))
    waive(checkout, "second")
    assert launch_stage(checkout, "digits", "audit", FakeLauncher(good)).exit_code == 0


def test_an_earlier_stage_without_a_report_has_not_finished(checkout: Path) -> None:
    """A folder alone proves nothing."""
    (checkout / "artifacts" / "digits" / "ingest").mkdir(parents=True)
    with pytest.raises(DataError, match=r"No .*ingest/report.json: .* has not finished"):
        launch_stage(checkout, "digits", "audit", FakeLauncher(good))


def test_a_missing_input_says_which_stage_makes_it(checkout: Path) -> None:
    """Running by hand in the wrong order is the commonest mistake."""
    with pytest.raises(UsageError, match="Run stage ingest first"):
        launch_stage(checkout, "digits", "audit", FakeLauncher(good))


def test_new_memory_lines_join_the_recipe_s_memory_once(checkout: Path) -> None:
    """Repeating a stage adds nothing; lines that are there already stay where they are."""
    memory = checkout / "memory" / "digits" / "splits.jsonl"
    memory.write_text('{"id": "a"}\n')

    def splits(run: StageRun) -> int:
        (run.out / "memory").mkdir()
        (run.out / "memory" / "splits.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
        return good(run)

    for _ in range(2):
        launch_stage(checkout, "digits", "ingest", FakeLauncher(splits))
    assert memory.read_text() == '{"id": "a"}\n{"id": "b"}\n'
