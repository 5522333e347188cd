"""A worker in a process of its own, to be killed: opens a toy run and runs stages of it.

`python toy_worker.py FOLDER RUN_ID UNTIL [MODULE:NAME before|after|slow]`: with a place, the
process kills itself with SIGKILL just before or just after that function's first call, or takes
seconds over each.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toys.toy_project import ToyProject


def die_at(place: str, moment: str) -> None:
    module, _, name = place.partition(":")
    owner = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    real = getattr(owner, last)

    @functools.wraps(real)
    def slow(*arguments, **keywords):
        time.sleep(4)
        return real(*arguments, **keywords)

    @functools.wraps(real)
    def deadly(*arguments, **keywords):
        if moment == "after":
            real(*arguments, **keywords)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, last, slow if moment == "slow" else deadly)


def main() -> None:
    folder, run_id, until, *place = sys.argv[1:]
    toy = ToyProject(Path(folder) / "project", Path(folder) / "control", {})
    if place:
        die_at(*place)
    outcome = toy.run_all(toy.open(run_id), until)
    sys.stdout.write(repr(outcome))


if __name__ == "__main__":
    main()
