"""What containers cost over processes, how soon a try attaches, how large the images are.

    VOXMILL_TEST_ENGINE=/var/tmp/engine python bench/containers.py --repeat 5

A dockerd of its own (root; Debian's packages), with `make images` of the code as it is:

start     from asking a launcher for a job to the first line that it says; the job is `voxmill
          --version`, by the launcher `process` and by `docker`
attach    from a second try's asking to its first word, while the container runs
DAG       `voxmill demo digits` with small values in a fresh clone, with either launcher, and how
          much of it the stages themselves took
images    as `docker image inspect` counts them, uncompressed
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from toys.docker_engine import DockerEngine, docker_engine  # noqa: E402
from toys.real_project import SMALL, fresh_clone  # noqa: E402
from voxmill.launchers.docker import DockerLauncher  # noqa: E402
from voxmill.launchers.launcher import Launcher, StageRun  # noqa: E402
from voxmill.launchers.process import ProcessLauncher  # noqa: E402

IMAGES = ("voxmill-stage", "voxmill-airflow", "voxmill-serve")
SPEAK = ("-P", "-m", "voxmill.cli.main", "--version")
VALUES = {
    **SMALL,
    "source.utterances": 160,
    "source.max_words": 1,
    "train.batch_seconds": 12,
    "train.epochs": 30,  # enough to learn a word, without which its gate is closed
    "train.patience": "null",
}
WAIT = "import time\nprint('ready', flush=True)\ntime.sleep(30)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--dags", type=int, default=1, help="How often each DAG is run.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as name:
        folder = Path(name)
        with docker_engine(folder / "engine") as engine:
            engine.build_images()
            os.environ["DOCKER_HOST"] = engine.host
            result = {
                "image bytes": {image: size_of(engine, image) for image in IMAGES},
                "start s": starts(folder, given.repeat),
                "attach s": [attach_seconds(folder / f"attach-{n}") for n in range(given.repeat)],
                "dag s": dags(folder, given.dags),
                "cpus": os.cpu_count(),
                "load_at_end": os.getloadavg()[0],
            }
    tell(result)
    print(json.dumps(result))


def tell(result: dict) -> None:
    for image, size in result["image bytes"].items():
        print(f"{image}: {size / 1e9:.2f} GB")
    start = {name: statistics.median(values) for name, values in result["start s"].items()}
    print(f"start: process {start['process']:.2f} s, container {start['docker']:.2f} s")
    print(f"attach: median {statistics.median(result['attach s']):.2f} s")
    for one in result["dag s"]:
        more = one["docker"]["whole"] - one["process"]["whole"]
        print(f"DAG: {one}; containers took {more:.1f} s more")


def size_of(engine: DockerEngine, image: str) -> int:
    said = engine.docker("image", "inspect", "--format", "{{.Size}}", image).stdout
    return int(said)


def order(folder: Path) -> StageRun:
    folder.mkdir(parents=True)
    (folder / "digits.yaml").write_text("title: toy\n")
    return StageRun(
        run=f"digits-{folder.name}",
        recipe="digits",
        stage="train",
        attempt=1,
        recipe_file=folder / "digits.yaml",
        inputs={},
        out=folder / "train.partial",
        work=folder / "work",
        resources={"image": "voxmill-stage"},
    )


def starts(folder: Path, repeat: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"process": [], "docker": []}
    for number in range(repeat):
        for name, seconds in found.items():
            seconds.append(first_line(name, order(folder / f"{name}-{number}")))
    return found


def first_line(name: str, stage_run: StageRun) -> float:
    said: list[float] = []

    def emit(_line: str) -> None:
        said.append(time.perf_counter())

    launcher: Launcher
    if name == "docker":
        launcher = DockerLauncher(lambda _: ["python3", *SPEAK], emit=emit)
    else:
        launcher = ProcessLauncher(lambda _: [sys.executable, *SPEAK], emit=emit)
    began = time.perf_counter()
    assert launcher.run(stage_run).exit_code == 0
    return said[0] - began


def attach_seconds(folder: Path) -> float:
    stage_run = order(folder)
    ready = threading.Event()

    def lose(line: str) -> None:
        if line == "ready":
            ready.set()
            raise SystemExit  # of this thread: the launcher is gone, the container is not

    thread = threading.Thread(
        target=DockerLauncher(lambda _: ["python3", "-c", WAIT], emit=lose).run, args=(stage_run,)
    )
    thread.start()
    ready.wait(60)
    thread.join()
    said: list[float] = []

    def end(_line: str) -> None:
        if not said:
            said.append(time.perf_counter())
            DockerLauncher().stop(stage_run, grace_seconds=0.1)

    began = time.perf_counter()
    DockerLauncher(emit=end).run(stage_run)
    return said[0] - began


def dags(folder: Path, repeat: int) -> list[dict[str, dict[str, float]]]:
    return [
        {name: dag_seconds(folder / f"dag-{name}-{number}", name) for name in ("process", "docker")}
        for number in range(repeat)
    ]


def dag_seconds(folder: Path, launcher: str) -> dict[str, float]:
    """Wall seconds of the command, and of the stages by their own reports."""
    project = fresh_clone(folder)
    settings = [part for key, value in VALUES.items() for part in ("--set", f"{key}={value}")]
    foreign = ("AIRFLOW", "VOXMILL_")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    environ |= {"VOXMILL_LAUNCHER": launcher, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "voxmill.cli.main", "demo", "digits", *settings],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"the DAG failed:\n{done.stdout}{done.stderr}")
    reports = list((project / ".voxmill/runs/digits").glob("*/artifacts/digits/*/report.json"))
    stages = sum(json.loads(report.read_text())["seconds"] for report in reports)
    return {"whole": round(whole, 1), "stages": round(stages, 1)}


if __name__ == "__main__":
    main()
