"""When new content of a source starts a run."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from voxmill.orchestration.sync import AGAIN_AFTER, Announced, decide
from voxmill.orchestration.worker import SourceNews

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def hours_ago(hours):
    return NOW - timedelta(hours=hours)


def news(content="b", *, run=None, had=False):
    began = None if run is None else hours_ago(run)
    return SourceNews(
        content=content,
        added=1,
        removed=0,
        changed=0,
        newest_run="" if run is None else "r1",
        newest_run_began=began,
        is_in_newest_run=had,
    )


def announced(content, hours):
    return Announced(content=content, at=hours_ago(hours))


def test_content_that_no_run_has_had_starts_one():
    """Rule: the first content, and new content after the interval."""
    assert decide(news(), None, 24, NOW).due
    assert decide(news(run=25), None, 24, NOW).due
    assert decide(news(run=25), announced("a", 25), 24, NOW).due


def test_content_of_the_newest_run_starts_nothing():
    """Rule: whoever opened that run, and however long ago."""
    decision = decide(news(run=1000, had=True), announced("a", 2000), 24, NOW)
    assert not decision.due
    assert "r1" in decision.reason


def test_content_that_comes_too_early_waits_for_the_interval():
    """Rule: it is named with the time when its run is due, and is still news then."""
    decision = decide(news(run=23), announced("a", 23), 24, NOW)
    assert not decision.due
    assert "2026-11-21 13:00 UTC" in decision.reason
    later = decide(news(run=23), announced("a", 23), 24, NOW + timedelta(hours=1))
    assert later.due


def test_an_event_counts_as_a_run_that_is_on_its_way():
    """Rule: while the announced run waits for its turn, neither old nor newer content adds one."""
    assert not decide(news("b", run=100), announced("b", 1), 0, NOW).due
    assert not decide(news("c", run=100), announced("b", 1), 24, NOW).due
    assert decide(news("c", run=100), announced("b", 1), 0.5, NOW).due


def test_what_was_announced_in_vain_is_announced_again():
    """Rule: a paused DAG drops events, and a run may fail before it is opened."""
    hours = AGAIN_AFTER / timedelta(hours=1)
    assert not decide(news("b"), announced("b", hours - 0.1), 0, NOW).due
    assert decide(news("b"), announced("b", hours), 0, NOW).due


@given(
    changes=st.lists(st.integers(0, 96), max_size=20),
    min_hours=st.sampled_from([0, 0.5, 3, 24]),
    delay=st.integers(0, 8),
)
def test_nothing_is_lost_and_no_run_comes_too_early(changes, min_hours, delay):
    """Rule: after any changes, runs are an interval apart, and the last content gets one.

    Args:
        changes: Quarters of an hour at which the content changed.
        min_hours: The recipe's interval.
        delay: Quarters of an hour between an event and the opening of its run.
    """
    runs, event, opens_at = [], None, {}
    quarter = timedelta(minutes=15)
    for step in range(96 + 4 * 24 * 3):
        now = NOW + step * quarter
        content = str(sum(change <= step for change in changes))
        if step in opens_at:  # a run takes what the source holds when it is opened
            runs.append((now, content))
        began, had = runs[-1] if runs else (None, None)
        found = SourceNews(
            content=content,
            added=0,
            removed=0,
            changed=0,
            newest_run="r" if runs else "",
            newest_run_began=began,
            is_in_newest_run=had == content,
        )
        if decide(found, event, min_hours, now).due:
            event = Announced(content=content, at=now)
            opens_at[step + 1 + delay] = True
    assert runs[-1][1] == str(len(changes))
    slack = (1 + delay) * quarter  # an event's run may begin later than the next one's
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(runs)]
    assert all(gap >= timedelta(hours=min_hours) - slack for gap in gaps)
    assert len(runs) <= len(changes) + 1
