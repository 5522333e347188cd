"""CPU seconds of `voxmill --help` and of checking a recipe, beside a bare Python start.

    python bench/cli_start.py [--most 0.3]

Each command runs several times in a process of its own; the median of user and system time
counts. One start before them lets Python write its bytecode, as it does for every user once: into
a folder of its own, so that the figures do not depend on how the environment was installed.
Ends with 1 where a median is above the limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAIN = [sys.executable, "-P", "-m", "voxmill.cli.main"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "voxmill --help": [*MAIN, "--help"],
    "voxmill recipe check digits": [*MAIN, "recipe", "check", "digits"],
}
REPEATS = 9


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(command: list[str], environment: dict[str, str]) -> float:
    cpu_seconds(command, environment)
    return statistics.median(cpu_seconds(command, environment) for _ in range(REPEATS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=float, default=0.3, help="CPU seconds allowed")
    most = parser.parse_args().most
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found = {name: measure(command, environment) for name, command in COMMANDS.items()}
    bare = found["python -c pass"]
    for name, seconds in found.items():
        print(f"{name:<30} {seconds:6.3f} s CPU  {seconds / bare:5.1f} x bare Python")
    return int(max(found.values()) > most)


if __name__ == "__main__":
    sys.exit(main())
