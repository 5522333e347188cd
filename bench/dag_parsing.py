"""What reading the DAG file costs Airflow, for 1, 10 and 50 recipes.

    python bench/dag_parsing.py
    python bench/dag_parsing.py --recipes 1 100 --repeat 9

The recipes are copies of one entry of pipeline.json, half of them with a watched source, so that
each of those has a second DAG. Measured in one process after Airflow and voxmill have been
imported, as Airflow's processor pays for them (it forks), in CPU time, so that a busy machine does
not count:

build      read pipeline.json, check it, make the DAGs: what `dags/voxmill.py` does
serialise  what Airflow's processor does with each DAG afterwards, before it is in the database

Medians over `--repeat`; the last line is JSON. The limit is 50 ms for building one recipe.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MS = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--recipes", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inner:
        measure(given.recipe, given.recipes, given.repeat)
        return
    with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as home:
        environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        command = [sys.executable, "-P", __file__, *sys.argv[1:], "--inner"]
        subprocess.run(command, env=environ | {"AIRFLOW_HOME": home}, check=True)


def measure(recipe: str, counts: Sequence[int], repeat: int) -> None:
    """Prints milliseconds of CPU time a recipe."""
    started = time.process_time()
    from airflow.serialization.serialized_objects import DagSerialization

    from voxmill.orchestration.dag import build_dags
    from voxmill.pipeline.snapshot import read_snapshot

    imports = time.process_time() - started
    result: dict = {"recipe": recipe, "import_seconds": round(imports, 2), "repeat": repeat}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            file = write_snapshot(Path(folder), recipe, count)
            dags = build_dags(read_snapshot(file), ROOT)  # first use of Airflow's lazy parts
            built = cpu_ms(lambda: build_dags(read_snapshot(file), ROOT), repeat)  # noqa: B023
        serialised = cpu_ms(
            lambda: [DagSerialization.serialize_dag(dag) for dag in dags.values()],  # noqa: B023
            repeat,
        )
        result[str(count)] = {
            "dags": len(dags),
            "build_ms_a_recipe": round(built / count, 2),
            "serialise_ms_a_recipe": round(serialised / count, 2),
        }
        print(
            f"{count:>3} recipes, {len(dags)} DAGs: build {built / count:.1f} ms a recipe, "
            f"serialise {serialised / count:.1f} ms a recipe"
        )
    worst = max(result[str(count)]["build_ms_a_recipe"] for count in counts)
    result |= {"limit_ms": LIMIT_MS, "within_limit": worst < LIMIT_MS}
    print(json.dumps(result))


def write_snapshot(folder: Path, recipe: str, count: int) -> Path:
    """A pipeline.json with so many copies of one recipe."""
    snapshot = json.loads((ROOT / "pipeline.json").read_text())
    entry = snapshot["recipes"][recipe]
    snapshot["recipes"] = {}
    for number in range(count):
        copied = copy.deepcopy(entry)
        copied["schedule"] = {**copied["schedule"], "watch_source": number % 2 == 1}
        snapshot["recipes"][f"{recipe}-{number}"] = copied
    file = folder / "pipeline.json"
    file.write_text(json.dumps(snapshot))
    return file


def cpu_ms(work: Callable[[], object], repeat: int) -> float:
    """Median milliseconds of this process's CPU time."""
    times = []
    for _ in range(repeat):
        started = time.process_time()
        work()
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)


if __name__ == "__main__":
    main()
