"""The newest values of a journal, however it grows, breaks, shrinks and goes."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.exporting.journal_tail import JournalTail
from voxmill.observability.journal import JournalRecorder

LOSS = "voxmill_train_loss"
WER = "voxmill_wer_ratio"
STEP = "voxmill_train_step"
RESUMED = "voxmill_train_resumed_step"


def line(values, step=1, labels=None, attempt=1, seconds=1000.0) -> bytes:
    entry = {"attempt": attempt, "labels": labels or {}, "step": step, "time": seconds}
    return json.dumps({**entry, "values": values}, sort_keys=True).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def values(tail: JournalTail) -> dict:
    tail.read_on()
    return {key: newest.value for key, newest in tail.newest.items()}


def test_a_folder_that_is_not_there_yet_is_an_empty_journal(tmp_path):
    """The run has not come to its first stage."""
    tail = JournalTail(tmp_path / "journal")
    assert values(tail) == {}
    (tmp_path / "journal").mkdir()
    append(tmp_path / "journal" / "1.jsonl", line({LOSS: 2.0}))
    assert values(tail) == {(LOSS, ()): 2.0}


def test_the_newest_value_of_each_series_is_found_though_it_was_told_once(tmp_path):
    """What an attempt says at its beginning counts behind thousands of later steps."""
    rows = [line({"voxmill_train_total_steps": 5000}, step=0)]
    for step in range(5000):
        rows.append(line({LOSS: 1.0 / (step + 1), STEP: step}, step=step))
        if step == 40:
            rows.append(line({WER: 0.5}, step=step, labels={"split": "validation"}))
            rows.append(line({WER: 0.25}, step=step, labels={"split": "test-1"}))
            rows.append(line({WER: 0.75}, step=step, labels={"split": "test-2"}))
    append(tmp_path / "1.jsonl", *rows)
    assert values(JournalTail(tmp_path)) == {
        ("voxmill_train_total_steps", ()): 5000,
        (LOSS, ()): 1 / 5000,
        (STEP, ()): 4999,
        (WER, (("split", "validation"),)): 0.5,
        (WER, (("split", "test-1"),)): 0.25,
        (WER, (("split", "test-2"),)): 0.75,
    }


def test_the_recorders_own_lines_are_read(tmp_path):
    """The one writes what the other reads; a value that is not finite reads as NaN."""
    with JournalRecorder(tmp_path, attempt=1) as recorder:
        recorder.record({LOSS: 3.0}, step=1)
        recorder.record({LOSS: math.inf}, step=2)
    tail = JournalTail(tmp_path)
    assert math.isnan(values(tail)[LOSS, ()])
    assert tail.broken_lines == 0


def test_half_a_line_waits_for_its_end(tmp_path):
    """A writer caught in the act is no corruption."""
    path, tail = tmp_path / "1.jsonl", JournalTail(tmp_path)
    whole = line({LOSS: 1.5}, step=2)
    append(path, line({LOSS: 2.0}), whole[:20])
    assert values(tail) == {(LOSS, ()): 2.0}
    append(path, whole[20:])
    assert values(tail) == {(LOSS, ()): 1.5}
    assert tail.broken_lines == 0


@pytest.mark.parametrize(
    "rubbish",
    [
        *(b"\x00\xff\x80 {\n", b"{}\n", b'{"time": 1}\n', b"[1, 2]\n", b"null\n"),
        line({LOSS: 1})[:-9],
        line({LOSS: 1}).replace(b'"step": 1', b'"step": 1e999'),
        line({LOSS: 10**400}),
        line({LOSS: 1}, seconds=math.nan),
        b"[" * 100_000,
    ],
    ids=lambda rubbish: repr(rubbish[:60]),
)
def test_lines_that_cannot_be_read_are_counted_and_cost_nothing_else(tmp_path, rubbish):
    """A full disk or a power cut leaves such lines."""
    path, tail = tmp_path / "1.jsonl", JournalTail(tmp_path)
    append(path, line({LOSS: 2.0}), rubbish.rstrip(b"\n") + b"\n", line({STEP: 7}, step=7))
    assert values(tail) == {(LOSS, ()): 2.0, (STEP, ()): 7}
    assert tail.broken_lines == 1
    append(path, rubbish.rstrip(b"\n") + b"\n")
    assert values(tail) == {(LOSS, ()): 2.0, (STEP, ()): 7}
    assert tail.broken_lines == 2


def test_of_two_attempts_the_higher_one_is_right_and_lost_steps_are_counted(tmp_path):
    """Killed at step 70 with a checkpoint of 60, then at 65 of the second try with none newer."""
    append(tmp_path / "1.jsonl", line({RESUMED: 0}, 0), line({LOSS: 1.0, STEP: 70}, 70))
    append(tmp_path / "1.jsonl", line({WER: 0.4}, 60, {"split": "validation"}))
    tail = JournalTail(tmp_path)
    values(tail)
    assert (tail.restarts, tail.lost_steps) == (0, 0)
    append(tmp_path / "2.jsonl", line({RESUMED: 60}, 60), line({LOSS: 9.0, STEP: 65}, 65))
    append(tmp_path / "3.jsonl", line({RESUMED: 60}, 60))
    found = values(tail)
    assert found[LOSS, ()] == 9.0
    assert found[STEP, ()] == 65
    assert found[WER, (("split", "validation"),)] == 0.4
    assert (tail.restarts, tail.lost_steps) == (2, 10 + 5)


def test_a_file_that_was_cut_short_or_replaced_is_read_anew(tmp_path):
    """Offsets of the old content must not hide the new one."""
    path, tail = tmp_path / "1.jsonl", JournalTail(tmp_path)
    append(path, *(line({LOSS: float(n), STEP: n}, n) for n in range(100)))
    values(tail)
    path.write_bytes(line({LOSS: 5.0}))
    assert values(tail) == {(LOSS, ()): 5.0}
    (tmp_path / "new").write_bytes(line({LOSS: 6.0}) * 2000)
    (tmp_path / "new").replace(path)
    assert values(tail) == {(LOSS, ()): 6.0}


def test_a_journal_that_goes_takes_its_values_along(tmp_path):
    """Nothing is served of a run that somebody deleted."""
    folder = tmp_path / "journal"
    folder.mkdir()
    append(folder / "1.jsonl", line({LOSS: 2.0}))
    append(folder / "2.jsonl", line({STEP: 2.0}))
    tail = JournalTail(folder)
    assert len(values(tail)) == 2
    (folder / "2.jsonl").unlink()
    assert values(tail) == {(LOSS, ()): 2.0}
    shutil.rmtree(folder)
    assert values(tail) == {}
    assert tail.last_line_time is None


@pytest.mark.parametrize("name", ["1.jsonl.gz", "x.jsonl", "notes.txt", ".1.jsonl.draft"])
def test_other_files_are_left_alone(tmp_path, name):
    """Only `<attempt>.jsonl` is a journal."""
    append(tmp_path / name, line({LOSS: 2.0}))
    assert values(JournalTail(tmp_path)) == {}


def test_clocks_that_jump_neither_hide_nor_invent_silence(tmp_path):
    """A line from the future came when its file was written; an old copy is as old as it says."""
    now = time.time()
    ahead, old = tmp_path / "ahead", tmp_path / "old"
    for folder in (ahead, old):
        folder.mkdir()
    append(ahead / "1.jsonl", line({LOSS: 1.0}, seconds=now + 86_400))
    append(old / "1.jsonl", line({LOSS: 1.0}, seconds=now - 86_400))
    for folder, expected in ((ahead, now), (old, now - 86_400)):
        tail = JournalTail(folder)
        tail.read_on()
        assert tail.last_line_time == pytest.approx(expected, abs=30)


def test_reading_on_costs_nothing_where_nothing_came(tmp_path):
    """And says so."""
    path, tail = tmp_path / "1.jsonl", JournalTail(tmp_path)
    append(path, line({LOSS: 2.0}))
    assert tail.read_on()
    assert not tail.read_on()
    append(path, line({LOSS: 1.0}))
    assert tail.read_on()


RECORDS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.dictionaries(
            st.sampled_from([LOSS, STEP, WER]),
            st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(-5, 5)),
            min_size=1,
        ),
        st.sampled_from([{}, {"split": "test"}, {"split": "test-1"}, {"split": "test-2"}]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, cuts=st.lists(st.integers(1, 300), max_size=20))
def test_however_it_is_cut_into_reads_the_last_line_of_the_highest_attempt_wins(
    records, cuts, tmp_path_factory
):
    """The oracle reads everything at once, line by line."""
    folder = tmp_path_factory.mktemp("journal")
    texts: dict[int, bytes] = {}
    expected: dict[int, dict] = {}
    for number, (attempt, told, labels) in enumerate(records):
        texts[attempt] = texts.get(attempt, b"") + line(told, number, labels, attempt)
        for name, value in told.items():
            key = (name, tuple(labels.items()))
            expected.setdefault(attempt, {})[key] = math.nan if value is None else value
    tail = JournalTail(folder)
    for attempt, text in sorted(texts.items()):
        rest = text
        for cut in cuts:
            append(folder / f"{attempt}.jsonl", rest[:cut])
            rest = rest[cut:]
            tail.read_on()
        append(folder / f"{attempt}.jsonl", rest)
    tail.read_on()
    oracle = {k: v for attempt in sorted(expected) for k, v in expected[attempt].items()}
    found = {key: newest.value for key, newest in tail.newest.items()}
    assert found == pytest.approx(oracle, nan_ok=True)
    assert tail.broken_lines == 0
