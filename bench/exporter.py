"""What the exporter costs with 50 runs of 100,000 steps going on: `python bench/exporter.py`.

The runs are made in a temporary folder (about 4 GB) beside 1,000 finished ones and grow by ten
steps a second each while the exporter, a process of its own, is scraped over HTTP.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from recording import VALUES

from voxmill.observability.labels import STAGES

ACTIVE, FINISHED, STEPS, SCRAPES = 50, 1_000, 100_000, 60
STEPS_A_SECOND = 10
FIGURES = dict.fromkeys(
    ["voxmill_loss", "voxmill_wer_ratio", "voxmill_cer_ratio", "voxmill_blank_ratio"], 0.123456789
)


def line(step: int, values: dict[str, float], split: str | None = None) -> str:
    drawn = {name: value * random.random() for name, value in values.items()}
    labels = {} if split is None else {"split": split}
    entry = {"attempt": 1, "labels": labels, "step": step, "time": time.time(), "values": drawn}
    return json.dumps(entry, sort_keys=True) + "\n"


def journal() -> str:
    rows = [line(0, {"voxmill_train_resumed_step": 0.0, "voxmill_train_total_steps": STEPS})]
    for step in range(1, STEPS + 1):
        rows.append(line(step, VALUES))
        if step % 1000 == 0:
            rows.append(line(step, FIGURES, "validation"))
    return "".join(rows)


def make_run(folder: Path, *, running: bool, days_ago: float) -> None:
    folder.mkdir(parents=True)
    stamp = datetime.fromtimestamp(time.time() - days_ago * 86_400, UTC).isoformat()
    (folder / "run.json").write_text(json.dumps({"created": stamp}))
    state = {}
    for stage in STAGES:
        if running and stage == "train":
            state[stage] = {"outcome": "started", "attempt": 1, "time": stamp}
            break
        state[stage] = {"outcome": "executed", "attempt": 1, "seconds": 10.0, "time": stamp}
    (folder / "stages.json").write_text(json.dumps(state))


def make_home(home: Path) -> list[Path]:
    runs, text = home / "runs" / "digits", journal()
    first = None
    journals = []
    for number in range(ACTIVE):
        folder = runs / f"active-{number}"
        make_run(folder, running=True, days_ago=0.1)
        path = folder / "work" / "digits" / "journal" / "1.jsonl"
        path.parent.mkdir(parents=True)
        if first is None:
            path.write_text(text)
            first = path
        else:
            shutil.copyfile(first, path)
        journals.append(path)
    for number in range(FINISHED):
        make_run(runs / f"finished-{number}", running=False, days_ago=30)
    return journals


def grow(journals: list[Path], ending: threading.Event) -> None:
    step = STEPS
    while not ending.wait(1.0 / STEPS_A_SECOND):
        step += 1
        for path in journals:
            with path.open("a") as file:
                file.write(line(step, VALUES))


def serve(home: Path) -> None:
    from voxmill.cli.exporter import SWITCH_SECONDS
    from voxmill.exporting.exporter import Exporter
    from voxmill.exporting.fleet import Fleet
    from voxmill.exporting.gpus import NvmlProbe
    from voxmill.exporting.http_server import serving

    sys.setswitchinterval(SWITCH_SECONDS)
    fleet = Fleet(runs=home / "runs", retention_seconds=86_400)
    exporter = Exporter(fleet=fleet, gpus=NvmlProbe(), places={"home": home})
    started = time.perf_counter()
    exporter.start(refresh_seconds=5.0, release_seconds=300.0)
    first = time.perf_counter() - started
    with serving(exporter.answer, host="127.0.0.1", port=0) as port:
        print(json.dumps({"port": port, "first_reading_seconds": first}), flush=True)
        sys.stdin.read()


def measure(port: int) -> tuple[list[float], dict[str, float]]:
    times, text = [], ""
    for _ in range(SCRAPES):
        started = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:  # loopback
            text = reply.read().decode()
        times.append((time.perf_counter() - started) * 1e3)
        time.sleep(0.5)
    rows = (row.rsplit(" ", 1) for row in text.splitlines() if not row.startswith("#"))
    return times, {name: float(value) for name, value in rows}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        journals = make_home(Path(folder))
        command = [sys.executable, __file__, "serve", folder]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        ending = threading.Event()
        writer = threading.Thread(target=grow, args=(journals, ending))
        writer.start()
        try:
            times, values = measure(told["port"])
        finally:
            ending.set()
            writer.join()
            child.communicate("")
    served = int(values["voxmill_exporter_runs"])
    assert served == ACTIVE, served
    print(f"{served} runs of {STEPS} steps, {FINISHED} finished ones, {len(values)} series")
    print(f"first reading              {told['first_reading_seconds']:8.1f} s")
    print(f"later readings, the last   {values['voxmill_exporter_refresh_seconds']:8.3f} s")
    print(f"a scrape, median           {statistics.median(times):8.1f} ms")
    print(f"a scrape, slowest of {SCRAPES}    {max(times):8.1f} ms")
    memory = values["process_resident_memory_bytes"] / 1e6
    print(f"resident memory            {memory:8.1f} MB")
    print(f"processor time so far      {values['process_cpu_seconds_total']:8.1f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]))
    else:
        main()
