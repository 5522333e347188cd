"""The port of a family: the code for one kind of model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.training.config import TrainConfig
from voxmill.training.learner import BatchSource, Learner

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TrainingKit:
    """What the loop needs to train one model of a family."""

    learner: Learner[Any]
    batches: BatchSource[Any]
    """Training batches."""
    validation: BatchSource[Any]
    """Validation batches; epoch 0 is the whole validation set, unaugmented."""
    notes: Mapping[str, float]
    """Counts for the report: parameters, skipped utterances, padding share."""
    accounts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that train writes beside its checkpoints, by file name without `.json`."""


@dataclass(frozen=True, kw_only=True)
class OnnxGraph:
    """A network as ONNX will hold it."""

    module: Any
    """A torch module in eval mode; takes `inputs` in order, gives `outputs` in order."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """The first one holds log-probabilities (B, S, tokens), the second valid frames (B,)."""
    dynamic_axes: Mapping[str, Mapping[int, str]]
    """Name of each free axis, by input or output name."""
    example: Callable[[Sequence[Samples]], tuple[Any, ...]]
    """The module's inputs (torch tensors) for a batch of utterances, padded as in training."""


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A trained model in the pieces that packaging writes to files."""

    network: Any
    """Has `save_pretrained`: weights and configuration for transformers."""
    processor: Any
    """Has `save_pretrained`: front end and tokenizer for transformers."""
    task: str
    """Task of `transformers.pipeline`, such as `automatic-speech-recognition`."""
    summary: str
    """The model in one sentence, for its card."""
    graph: OnnxGraph
    tokenizer: Path
    """Folder that prepare wrote."""
    frontend: Mapping[str, Any]
    """Settings of the front end that stands before the ONNX graph."""
    metadata: Mapping[str, str]
    """What the ONNX file says of itself: vocabulary, front end, blank."""
    code: Path | None = None
    """A file of Python that the Hugging Face folder carries where transformers has no class for
    the network; whoever loads the folder has to trust it."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A packaged file or folder that can be measured."""

    name: str
    """`hf`, `onnx-fp32`, `onnx-int8`."""
    path: Path
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What a recogniser heard in one utterance."""

    text: str
    decoder: str
    """Name of the decoder: `ctc-greedy`, `ctc-beam8`."""


class Recogniser(Protocol):
    """A packaged artefact at work: samples in, text out."""

    def transcribe(self, samples: Samples) -> Hypothesis:
        """Recognises one utterance.

        Args:
            samples: (N,) mono, at the package's sample rate, in [-1, 1]; or (T, D) features.
        """


class Family(Protocol):
    """Builds everything that is particular to one kind of model."""

    name: str
    version: int

    def check_start(self, start: Path, model: BaseModel) -> None:
        """Refuses what training could not begin with, by what can be told without any data.

        Ingest asks before it copies a recording, and prepare once more, for an ingest may have
        been restored from a run with another `model`. `kit` asks by itself.

        Args:
            start: Folder with `base/` and `init/`, as far as the recipe's section `base` asks.
            model: The recipe's `model` section.

        Raises:
            DataError: The base model is not the one that the model section describes, or a
                foreign checkpoint cannot be read safely.
        """

    def tokenizer(
        self, texts: Sequence[str], model: BaseModel, out: Path, *, imported: Path | None = None
    ) -> None:
        """Trains the tokenizer on training transcripts and writes it as a folder.

        Args:
            texts: Training transcripts, normalised.
            model: The recipe's `model` section.
            out: Folder to write; it does not exist yet.
            imported: Tokenizer folder of the checkpoint that training starts from: taken over
                instead of training one.

        Raises:
            DataError: The texts cannot carry the asked vocabulary, or the imported tokenizer does
                not fit them or the model.
        """

    def encode(self, tokenizer: Path, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids of each text, without blanks or special tokens."""

    def frames(self, seconds: float, model: BaseModel) -> int:
        """How many output frames the model gives for a recording of that length."""

    def kit(
        self,
        *,
        prepared: Path,
        utterances: Sequence[PreparedUtterance],
        model: BaseModel,
        train: TrainConfig,
        stop: Callable[[], bool],
    ) -> TrainingKit:
        """Builds learner and batches from prepare's output."""

    def export(self, *, checkpoint: Path, prepared: Path, model: BaseModel) -> Exportable:
        """The trained model in pieces; `packaging` writes the Hugging Face and ONNX files.

        Raises:
            DataError: The checkpoint is damaged or does not fit the model.
        """

    def recogniser(self, artefact: Artefact, *, decoder: str) -> Recogniser:
        """Opens a packaged artefact for measuring.

        Args:
            artefact: A folder or file of the package; what it needs lies beside it.
            decoder: `greedy` or `beam` as in `evaluate.decoder`; `beam16` sets a width.

        Raises:
            UsageError: The family has no artefact or decoder of that name.
        """
