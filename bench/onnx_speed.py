"""How much faster than PyTorch eager are the ONNX artefacts of a package, on one CPU thread?

    python bench/onnx_speed.py [PACKAGE] [--speech FOLDER] [--least-fp32 1.5] [--least-int8 2.5]

PACKAGE is an output folder of `package`; without it a model of the size of `digits` with random
weights is packaged first (speed does not depend on what was learned). FOLDER is an output folder
of `prepare`, or any folder of recordings; without it noise of mixed lengths is recognised.

Two ratios in one run: the network alone (features in, log-probabilities out), and the whole way
from samples to text (front end, network, greedy decoding) as `evaluate` measures it. Utterances
go one by one, artefacts take turns within each round, CPU seconds count, and each artefact's best
round stands, so that a busy machine weighs on all alike. Ends with 1 where the network's ratio is
below a limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from voxmill.corpus.manifest import read_lines
from voxmill.corpus.shards import ShardReader
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.export import exportable
from voxmill.families.ctc.family import CtcFamily
from voxmill.families.ctc.hearing import mel_hearing
from voxmill.families.ctc.model import settings_of
from voxmill.families.ctc.network import build, log_probabilities
from voxmill.families.family import Artefact, Samples
from voxmill.packaging.bundle import PLACES, write_package
from voxmill.packaging.onnx_file import open_session
from voxmill.signal.mel import LogMel, MelSettings
from voxmill.text.tokenizer import TextTokenizer

NOISE_SECONDS = (0.5, 0.9, 1.3, 1.9, 2.4, 3.1, 4.2, 6.0, 8.0)
DIGITS = ["zero one two three four five six seven eight nine"]
MOST_UTTERANCES = 40

Run = Callable[[], None]


def random_package(folder: Path) -> Path:
    """A package of the size of `digits` with random weights."""
    torch.manual_seed(0)
    model = CtcModelConfig()
    CtcFamily().tokenizer(DIGITS, model, folder / "tokenizer")
    tokens = TextTokenizer.from_folder(folder / "tokenizer").size
    network = build(model, tokens=tokens).module
    pieces = exportable(tensors=network.state_dict(), prepared=folder, model=model)
    write_package(pieces, folder / "package", card="# Random\n", batch=noise((1.3, 0.9), 16000))
    return folder / "package"


def noise(seconds: Sequence[float], rate_hz: int) -> list[Samples]:
    generator = np.random.default_rng(0)
    return [(0.1 * generator.standard_normal(int(s * rate_hz))).astype(np.float32) for s in seconds]


def speech(folder: Path | None, rate_hz: int) -> list[Samples]:
    """Utterances of a prepared corpus, of a folder of recordings, or noise."""
    if folder is None:
        return noise(NOISE_SECONDS, rate_hz)
    manifest = folder / "utterances.jsonl"
    if manifest.is_file():
        utterances = read_lines(manifest, PreparedUtterance)[:MOST_UTTERANCES]
        return [ShardReader(folder / "shards").samples(u) for u in utterances]
    files = sorted(f for f in folder.rglob("*") if f.suffix in {".wav", ".flac"})
    step = max(1, len(files) // MOST_UTTERANCES)
    return [soundfile.read(file, dtype="float32")[0] for file in files[::step][:MOST_UTTERANCES]]


def networks(package: Path, features: Sequence[np.ndarray]) -> dict[str, Run]:
    """Each artefact's network over all utterances."""
    from transformers import AutoFeatureExtractor, AutoModelForCTC

    hf = package / PLACES["hf"]
    settings = settings_of(AutoFeatureExtractor.from_pretrained(hf, local_files_only=True))
    eager = AutoModelForCTC.from_pretrained(hf, local_files_only=True).eval()
    hearing = mel_hearing(settings, eager.config.encoder_config.subsampling_factor)
    inputs = [(f[None], np.array([len(f)], dtype=np.int64)) for f in features]
    tensors = [(torch.from_numpy(f), torch.from_numpy(n)) for f, n in inputs]

    def run_eager() -> None:
        with torch.inference_mode():
            for feature, frames in tensors:
                log_probabilities(eager, hearing, feature, frames)

    def run_onnx(name: str) -> Run:
        session = open_session(package / PLACES[name])

        def run() -> None:
            for feature, frames in inputs:
                session.run(None, {"input_features": feature, "mel_frames": frames})

        return run

    onnx = {name: run_onnx(name) for name in ("onnx-fp32", "onnx-int8")}
    return {"pytorch": run_eager, **onnx}


def recognisers(package: Path, utterances: Sequence[Samples]) -> dict[str, Run]:
    """The whole way from samples to text."""

    def run(name: str) -> Run:
        artefact = Artefact(name=name, path=package / PLACES[name], bytes=0)
        recogniser = CtcFamily().recogniser(artefact, decoder="greedy")
        return lambda: [recogniser.transcribe(samples) for samples in utterances] and None

    return {"pytorch": run("hf"), "onnx-fp32": run("onnx-fp32"), "onnx-int8": run("onnx-int8")}


def best_seconds(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """CPU seconds of each run's best round; they take turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds + 1):  # the first one warms up and is seldom the best
        for name, run in runs.items():
            started = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - started)
    return best


def table(title: str, best: dict[str, float], speech_seconds: float) -> dict[str, float]:
    """Prints one comparison and gives the ratios to PyTorch."""
    ratios = {name: best["pytorch"] / seconds for name, seconds in best.items()}
    print(f"\n{title}\n{'':12}{'CPU s':>9}{'real time x':>13}{'ratio':>8}")
    for name, seconds in best.items():
        print(f"{name:12}{seconds:9.4f}{speech_seconds / seconds:13.0f}{ratios[name]:8.2f}")
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, nargs="?")
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--least-fp32", type=float, default=1.5)
    parser.add_argument("--least-int8", type=float, default=2.5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        package = options.package or random_package(Path(folder))
        ratios = compare(package, options.speech, options.rounds)
    good = ratios["onnx-fp32"] >= options.least_fp32 and ratios["onnx-int8"] >= options.least_int8
    print(
        f"\nlimits for the network: fp32 {options.least_fp32}, int8 {options.least_int8}: "
        f"{'kept' if good else 'MISSED'}"
    )
    return 0 if good else 1


def compare(package: Path, folder: Path | None, rounds: int) -> dict[str, float]:
    import json

    frontend = json.loads((package / "onnx/frontend.json").read_text(encoding="utf-8"))
    settings = MelSettings.from_json(frontend)
    utterances = speech(folder, settings.sample_rate_hz)
    seconds = sum(map(len, utterances)) / settings.sample_rate_hz
    sizes = {name: place for name, place in PLACES.items() if name != "hf"}
    for name, place in sizes.items():
        print(f"{name}: {(package / place).stat().st_size / 1e6:.2f} MB")
    print(f"{len(utterances)} utterances, {seconds:.1f} s of speech, 1 thread")
    mel = LogMel(settings)
    features = [mel(samples) for samples in utterances]
    whole = recognisers(package, utterances)
    table("samples to text", best_seconds(whole, rounds), seconds)
    return table("network", best_seconds(networks(package, features), rounds), seconds)


if __name__ == "__main__":
    sys.exit(main())
