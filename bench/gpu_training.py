"""Training `voxformer` on one GPU: speed, waiting, memory and precision, beside transformers'.

    python bench/gpu_training.py                         # needs an NVIDIA GPU
    python bench/gpu_training.py --device cpu --tiny     # the bench tries itself out; no figures

The recipe `voxformer` on WavLM-base with random weights, on synthetic utterances of 10 to 15 s: the
real training loop with the recipe's batches, distortions and accumulation, for some updates after a
warm-up. Each variant changes one thing:

voxmill-fp32, -bf16, -fp16     the precision (fp16, the recipe's own, on a GPU only)
voxmill-bf16-one-bucket        batches of any lengths, as without length buckets
voxmill-bf16-compiled          `torch.compile` of the network, in place, for any length; the recipe
                               has no such setting. Compiling falls into the warm-up
trainer-fp32, trainer-bf16     transformers' Trainer: same network, micro-batches, optimiser,
                               schedule and loss (see gpu/variant.py)

A GPU is busy as NVML says: the share of time in which some kernel ran. Waiting for data is what the
loop records itself. Peak memory is what PyTorch's allocator gave out during the measured updates
(on a CPU: what the process ever had). The learning rate is not the recipe's, by which nothing would
change within so few updates; losses then fall, and precisions can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from gpu.job import RECIPE, Job
from gpu.speech import Corpus, write_prepared
from gpu.tables import Results, tables

from voxmill.recipe.reading import read_recipe

BENCH = Path(__file__).resolve().parent
NEVER = 10**9
COMMON = {
    "train.epochs": NEVER,
    "train.evaluate_every_steps": NEVER,
    "train.checkpoint_every_steps": NEVER,
    "train.milestones": "[]",
    "train.learning_rate": 3e-4,
    "train.warmup_steps": 10,
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large everything is."""

    corpus: Corpus
    base: dict[str, object]
    """Of WavLM, where it is not WavLM-base."""
    recipe: dict[str, object]
    warm_up: int
    updates: int
    compile_backend: str
    trainer_workers: int


FULL = Size(
    corpus=Corpus(utterances=480, shortest_seconds=10, longest_seconds=15, words=4000),
    base={},
    recipe={},
    warm_up=10,
    updates=100,
    compile_backend="inductor",
    trainer_workers=2,
)
TINY = Size(
    corpus=Corpus(utterances=16, shortest_seconds=1, longest_seconds=1.5, words=40),
    base={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": [16] * 7,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    },
    recipe={
        "model.encoder.trainable_layers": 1,
        "model.encoder.d_model": 16,
        "model.encoder.blocks": 1,
        "model.encoder.layers_per_block": 1,
        "model.encoder.heads": 2,
        "model.encoder.d_ff": 16,
        "model.encoder.kernel": 3,
        "model.vocabulary.size": 60,
        "train.max_batch_utterances": 3,
        "train.buckets": 4,
        "train.accumulation": 2,
    },
    warm_up=2,
    updates=4,
    compile_backend="eager",  # traces the network, and leaves out what needs a C++ compiler
    trainer_workers=0,
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is changed."""

    framework: str = "voxmill"
    precision: str = "bf16"
    recipe: tuple[tuple[str, object], ...] = ()
    compiled: bool = False
    on_cpu: bool = True


VARIANTS = {
    "voxmill-fp32": Variant(precision="no"),
    "voxmill-bf16": Variant(),
    "voxmill-fp16": Variant(precision="fp16", on_cpu=False),
    "voxmill-bf16-one-bucket": Variant(recipe=(("train.buckets", 1),)),
    "voxmill-bf16-compiled": Variant(compiled=True),
    "trainer-fp32": Variant(framework="trainer", precision="no"),
    "trainer-bf16": Variant(framework="trainer"),
}


def main() -> int:
    asked = _arguments()
    if asked.device == "cuda" and not torch.cuda.is_available():
        print(
            "No GPU: PyTorch finds none here. Run this where there is one (with the CUDA build of "
            "PyTorch), or try the bench itself with --device cpu --tiny.",
            file=sys.stderr,
        )
        return 64
    size = TINY if asked.tiny else FULL
    size = replace(
        size,
        warm_up=asked.warm_up or size.warm_up,
        updates=asked.updates or size.updates,
        trainer_workers=(
            size.trainer_workers if asked.trainer_workers is None else asked.trainer_workers
        ),
    )
    results: Results = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-bench-") as name:
        folder = Path(name)
        model = read_recipe(RECIPE, _settings(size.recipe)).model
        write_prepared(folder / "prepared", size.corpus, model, size.base)
        for variant in asked.only or VARIANTS:
            if asked.device == "cuda" or VARIANTS[variant].on_cpu:
                results[variant] = _trained(variant, size, folder, asked.device)
    if asked.json:
        print(json.dumps({"size": asdict(size), "variants": results}))
    else:
        print("\n\n".join(tables(results, asdict(size))))
    return 1 if any("failed" in result for result in results.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="toy sizes: proves the bench only")
    parser.add_argument("--only", nargs="+", choices=tuple(VARIANTS), metavar="VARIANT")
    parser.add_argument("--warm-up", type=int, help="updates before the measured ones")
    parser.add_argument("--updates", type=int, help="measured updates")
    parser.add_argument("--trainer-workers", type=int, help="loading processes of the Trainer")
    parser.add_argument("--json", action="store_true", help="everything, every loss included")
    return parser.parse_args()


def _trained(name: str, size: Size, folder: Path, device: str) -> dict[str, Any]:
    """The figures of a variant, or how it failed."""
    variant, work = VARIANTS[name], folder / name
    work.mkdir()
    changes = {
        **COMMON,
        **size.recipe,
        "train.max_steps": size.warm_up + size.updates,
        "train.precision": variant.precision,
        **dict(variant.recipe),
    }
    job = Job(
        framework=variant.framework,
        overrides=_settings(changes),
        prepared=str(folder / "prepared"),
        work=str(work),
        warm_up=size.warm_up,
        updates=size.updates,
        compile_backend=size.compile_backend if variant.compiled else "",
        trainer_workers=size.trainer_workers,
    )
    given, found = work / "job.json", work / "result.json"
    given.write_text(json.dumps(asdict(job)), encoding="utf-8")
    print(f"{name} …", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "gpu.variant", str(given), str(found)],
        cwd=BENCH,
        env={**os.environ, **_devices(device)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        return {"failed": f"exit code {done.returncode}: {last}"}
    return json.loads(found.read_text(encoding="utf-8"))


def _devices(device: str) -> dict[str, str]:
    """One GPU, or none: the Trainer would spread its batches over all that it sees."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}
    return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]}


def _settings(values: dict[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in values.items()]


if __name__ == "__main__":
    sys.exit(main())
