"""A stage command without a workshop: `python toy_stage.py CONTROL STAGE --recipe … --out …`.

Its output follows from its inputs and its recipe section alone, so that the same inputs give the
same bytes. The folder CONTROL holds orders to it, by file name:

`<stage>.sleep`   seconds to work while this is there; SIGTERM then makes it leave with 75
`<stage>.saving`  after SIGTERM it saves for as long as this is there, then writes `<stage>.saved`
`<stage>.exit`    exit code to end with, instead of making anything
`<stage>.failed`  the stage's check fails
`<stage>.speaks`  words that it logs as a real stage does, and ends with where it is to exit
`<stage>.full`    it writes until the disk is full

and gets one line for each launch in `<stage>.launches`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import time
from pathlib import Path

import yaml


def main() -> None:
    control, stage = Path(sys.argv[1]), sys.argv[2]
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--in", action="append", default=[], dest="inputs")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--attempt", type=int)
    given = parser.parse_args(sys.argv[3:])
    with (control / f"{stage}.launches").open("a") as file:
        file.write(f"{given.attempt}\n")
    signal.signal(signal.SIGTERM, lambda *_: leave(control, stage))
    words = control / f"{stage}.speaks"
    if words.exists():
        import speaking

        speaking.speak(stage, given.recipe.stem, given.attempt, given.work, words.read_text())
    if (order := control / f"{stage}.sleep").exists():
        end = time.monotonic() + float(order.read_text())
        while order.exists() and time.monotonic() < end:
            time.sleep(0.02)
    if (order := control / f"{stage}.exit").exists():
        if words.exists():
            speaking.leave(words.read_text(), int(order.read_text()))
        sys.stderr.write(f"voxmill: {stage} was told to fail\n")
        sys.exit(int(order.read_text()))
    make(control, stage, given)


def leave(control: Path, stage: str) -> None:
    if (order := control / f"{stage}.saving").exists():
        while order.exists():
            time.sleep(0.02)
        (control / f"{stage}.saved").touch()
    sys.exit(75)


def make(control: Path, stage: str, given: argparse.Namespace) -> None:
    given.out.mkdir(parents=True, exist_ok=True)
    section = yaml.safe_load(given.recipe.read_text()).get(stage)
    digest = hashlib.sha256(json.dumps(section, sort_keys=True).encode())
    for entry in sorted(given.inputs):
        name, _, folder = entry.partition("=")
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name != "report.json" and name != "memory":
                digest.update(path.read_bytes())
    (given.out / "sub").mkdir(exist_ok=True)
    (given.out / "data.bin").write_bytes(digest.digest() * 1000)
    (given.out / "sub" / "name.txt").write_text(f"{stage}\n")
    if stage == "train":
        (given.out / "best").mkdir()
        (given.out / "best" / "state.pt").write_bytes(digest.digest() * 10)
        (given.out / "best" / "manifest.json").write_text("{}\n")
    if stage == "prepare":
        (given.out / "tokenizer").mkdir()
        (given.out / "tokenizer" / "tokenizer.json").write_text(digest.hexdigest())
        memory = given.out / "memory"
        memory.mkdir(exist_ok=True)
        lines = [json.dumps({"id": f"u{n}", "split": "train"}) for n in range(3)]
        (memory / "splits.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if stage == "evaluate":
        values = {"wer": 0.03, "wer_low": 0.02, "wer_high": 0.04, "cer": 0.01}
        values |= {"real_time_factor": 0.01, "utterances": 12}
        metrics = {"test": {"onnx-fp32": values}, "sizes": {"onnx-fp32": 1000}}
        (given.out / "metrics.json").write_text(json.dumps(metrics))
    if (control / f"{stage}.full").exists():
        with (given.out / "much.bin").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    report(control, stage, given)


def report(control: Path, stage: str, given: argparse.Namespace) -> None:
    good = not (control / f"{stage}.failed").exists()
    check = {"name": f"{stage}.quality", "value": 0.5, "limit": "at most 0.4", "passed": good}
    files = [path for path in sorted(given.out.rglob("*")) if path.is_file()]
    outputs = {
        str(path.relative_to(given.out)): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
    values = {
        "stage": stage,
        "recipe": given.recipe.stem,
        "version": 1,
        "verdict": "passed" if good else "failed",
        "checks": [{**check, "help": "Look at the data."}],
        "figures": {"size": len(files)},
        "outputs": outputs,
    }
    (given.out / "report.json").write_text(json.dumps(values))


if __name__ == "__main__":
    main()
