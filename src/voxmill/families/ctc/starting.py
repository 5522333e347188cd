"""Starting from a checkpoint: the weights of a release, a run or another program's file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import Tensor

from voxmill.errors import DataError
from voxmill.families.ctc.config import CtcModelConfig, PretrainedEncoder
from voxmill.families.ctc.modeling_voxformer import VoxformerForCTC
from voxmill.families.ctc.pretrained import read_base
from voxmill.families.foreign_checkpoint import MatchReport, apply, match, read_foreign

logger = logging.getLogger(__name__)

CHECKPOINT_FOLDER = "checkpoint"
FOREIGN_STEM = "foreign"

_VOXFORMER_NAMES = {
    "wavlm.": "encoder.",
    "wav2vec2.": "encoder.",
    "hubert.": "encoder.",
    "whisper.": "encoder.",
    "model.encoder.": "encoder.",
    "ctc_head.": "head.",
    "lm_head.": "head.",
}
"""How transformers' own classes for CTC, and common trainers, name what is ours."""


def check_start(start: Path, model: CtcModelConfig) -> None:
    """Refuses what training would refuse: the base model's configuration, and foreign files.

    Whether a checkpoint's tensors fit is told in training: that needs the network, and its size
    the vocabulary.

    Args:
        start: Folder with `base/` and `init/`, as ingest and prepare write them.
        model: The section `model`.

    Raises:
        DataError: The base model is of another kind, rate or front end, or the foreign checkpoint
            cannot be read safely.
        UsageError: The encoder is pretrained, and there is no base model.
    """
    if isinstance(model.encoder, PretrainedEncoder):
        read_base(start / "base", model.encoder, model)
    for file in _foreign_files(start / "init"):
        read_foreign(file)


def start_from(network: Any, init: Path) -> MatchReport | None:
    """Copies into a fresh network whatever fits of the checkpoint that prepare carried on.

    The optimizer starts fresh: what is taken over are weights, not a training.

    Args:
        network: Fresh, or with a pretrained encoder in it.
        init: Prepare's folder `init`; where there is none, nothing happens.

    Returns:
        What matched and what did not.

    Raises:
        DataError: The checkpoint cannot be read safely, or nothing in it fits.
    """
    if not init.is_dir():
        return None
    tensors = _tensors(init)
    state = dict(network.state_dict())
    renames = _VOXFORMER_NAMES if isinstance(network, VoxformerForCTC) else {}
    report = match(state, tensors, renames)
    apply(state, tensors, report)
    logger.info("Starting from a checkpoint, with a fresh optimizer:\n%s", report.table())
    return report


def _tensors(init: Path) -> dict[str, Tensor]:
    from voxmill.training.checkpoint import load_checkpoint

    if (init / CHECKPOINT_FOLDER).is_dir():
        state: dict[str, Tensor] = load_checkpoint(init / CHECKPOINT_FOLDER).state["learner"][
            "model"
        ]
        return state
    for file in _foreign_files(init):
        return read_foreign(file)
    raise DataError(
        f"{init}: expected {CHECKPOINT_FOLDER}/ or {FOREIGN_STEM}.pt or .safetensors, found "
        f"{', '.join(sorted(one.name for one in init.iterdir())) or 'nothing'}. Run ingest and "
        "prepare again."
    )


def _foreign_files(init: Path) -> list[Path]:
    return sorted(init.glob(f"{FOREIGN_STEM}.*"))
