"""Passes a run's journal on, once or for as long as the run goes on."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.exporting.forwarders.forwarder import Forwarder, comparisons_of
from voxmill.observability.curves import read_journal
from voxmill.runs.run import Run


def forward(run: Run, forwarder: Forwarder, *, wait: Callable[[], bool]) -> int:
    """Sends every line of a run's journal.

    Args:
        run: The run.
        forwarder: Where to; closed at the end, and also if something breaks in between.
        wait: Waits for more, and says whether there may be more; False ends it.

    Returns:
        The number of lines that were sent.
    """
    folder = run.folder / "work" / run.recipe / "journal"
    sent: dict[tuple[int, tuple[tuple[str, str], ...]], int] = {}
    try:
        more = True
        while more:
            more = wait()  # before reading, so that the last lines of an ended run are read too
            fresh = {
                (line.step, tuple(sorted(line.labels.items()))): line
                for line in read_journal(folder)
            }
            # A step's line grows until all who record for it have done so; it is then sent again.
            forwarder.send(
                line for key, line in fresh.items() if sent.get(key, 0) < len(line.values)
            )
            sent |= {key: len(line.values) for key, line in fresh.items()}
    finally:
        forwarder.finish(comparisons_of(run))
    return len(sent)
