"""What Airflow, DVC, launching and git cost: a recipe's whole DAG against its bare stage functions.

    python bench/orchestration_overhead.py digits
    python bench/orchestration_overhead.py digits --set train.max_steps=300 \\
        --set evaluate.gates.wer=null

Both run the committed recipe with the same overrides and seeds, one after the other on the same
machine, in a clone in a temporary folder (no release of yours is touched):

dag     `voxmill demo RECIPE`, from starting Python to the release, Airflow's database included
bare    the stages' own functions, one after the other in one process that also starts from nothing
no-op   `voxmill demo RECIPE` once more: every stage is restored, nothing is released

The ratio is dag / bare. The last line is JSON. `--repeat` repeats all three and takes medians.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEMORY = ("splits.jsonl", "tombstones.jsonl", "verdicts.jsonl", "waivers.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="digits")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        run_bare(given.recipe, given.overrides, given.bare)
        return
    rounds = [measure(given.recipe, given.overrides) for _ in range(given.repeat)]
    seconds = {
        key: statistics.median(each[key] for each in rounds) for key in ("dag", "bare", "noop")
    }
    result = {
        "recipe": given.recipe,
        "overrides": given.overrides,
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "ratio": round(seconds["dag"] / seconds["bare"], 3),
        "same_outputs": all(each["same_outputs"] for each in rounds),
        "rounds": rounds,
        "cpus": os.cpu_count(),
        "load_at_end": os.getloadavg()[0],
    }
    print(
        f"dag {seconds['dag']:.1f} s, bare {seconds['bare']:.1f} s: ratio {result['ratio']:.3f}; "
        f"no-op {seconds['noop']:.1f} s"
    )
    print(json.dumps(result))


def measure(recipe: str, overrides: Sequence[str]) -> dict[str, object]:
    """Seconds of each of the three, and whether dag and bare made the same trained weights."""
    with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as folder:
        project, bare = Path(folder) / "project", Path(folder) / "bare"
        subprocess.run(["git", "clone", "--quiet", ROOT, project], check=True)
        settings = [part for text in overrides for part in ("--set", text)]
        demo = [sys.executable, "-P", "-m", "voxmill.cli.main", "demo", recipe, *settings]
        itself = [sys.executable, "-P", __file__, recipe, *settings, "--bare", str(bare)]
        dag_seconds = timed(demo, project)
        bare_seconds = timed(itself, project)
        noop_seconds = timed(demo, project)
        runs = sorted((project / ".voxmill" / "runs" / recipe).iterdir())
        first = next(run for run in runs if not run.name.startswith("."))
        same = weights(first / "artifacts" / recipe) == weights(bare / "artifacts" / recipe)
    return {"dag": dag_seconds, "bare": bare_seconds, "noop": noop_seconds, "same_outputs": same}


def timed(command: Sequence[str], project: Path) -> float:
    """Seconds from starting the command to its end."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environ |= {
        "VOXMILL_HOME": str(project / ".voxmill"),
        "VOXMILL_DATA": os.environ.get("VOXMILL_DATA", str(ROOT)),
    }
    for name in ("VOXMILL_GIT", "VOXMILL_REMOTE", "VOXMILL_PROJECT"):
        environ.pop(name, None)
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def weights(artifacts: Path) -> str:
    """Digest of the best checkpoint's tensors; files hold times and paths besides."""
    import torch

    state = torch.load(artifacts / "train" / "best" / "state.pt", weights_only=True)
    digest = hashlib.sha256()
    for name, tensor in sorted(state["learner"]["model"].items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def run_bare(recipe: str, overrides: Sequence[str], folder: Path) -> None:
    """The recipe's stages in the graph's order; writes below `folder`, as a checkout would be."""
    from voxmill.pipeline.recipe_file import source_folders
    from voxmill.pipeline.remembered import remember
    from voxmill.recipe.reading import read_recipe
    from voxmill.stages.runner import StageOrder, run_stage

    typed = read_recipe(Path("recipes") / f"{recipe}.yaml", overrides)
    entry = json.loads(Path("pipeline.json").read_text())["recipes"][recipe]
    sections = {"source": typed.source.model_dump(mode="json")}
    sources = source_folders(sections, Path(os.environ["VOXMILL_DATA"]))
    memory = make_memory(folder / "memory" / recipe, recipe, typed.source, sources)
    for name, stage in entry["stages"].items():
        out = folder / "artifacts" / recipe / name
        inputs = {key: folder / path for key, path in stage["inputs"].items()}
        if stage["meta"].get("source_mount"):
            inputs |= sources
        order = StageOrder(
            stage=name, recipe=typed, inputs=inputs, out=out, work=folder / "work" / recipe
        )
        run_stage(order)
        remember(out, memory)


def make_memory(memory: Path, recipe: str, config: object, sources: Mapping[str, Path]) -> Path:
    """What the recipe remembers in the checkout, and its source's listing."""
    from voxmill.corpus.sources.catalogue import open_source

    memory.mkdir(parents=True)
    for name in MEMORY:
        known = Path("memory") / recipe / name
        (memory / name).write_bytes(known.read_bytes() if known.exists() else b"")
    source = open_source(config, sources, work=memory.parents[1] / "downloads")
    listing = source.listing(cache=None)
    (memory / "source.json").write_text(listing.to_json())
    return memory


if __name__ == "__main__":
    main()
