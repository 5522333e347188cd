"""`voxmill` with toy stages: `python toy_command.py CONTROL COMMAND …`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toys.toy_project import toy_command
from voxmill.cli import main as command_line
from voxmill.launchers.catalogue import LAUNCHERS
from voxmill.launchers.process import ProcessLauncher

CONTROL = Path(sys.argv[1])


def toy_launcher() -> ProcessLauncher:
    return ProcessLauncher(toy_command(CONTROL))


if __name__ == "__main__":
    LAUNCHERS["process"] = "__main__:toy_launcher"
    del sys.argv[1]
    command_line.main()
