"""The family `ctc` behind the port; torch and transformers are imported where they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.errors import UsageError
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.decode import ATTENTION, decoder_named
from voxmill.families.family import Artefact, Exportable, Recogniser, TrainingKit
from voxmill.text.imported_tokenizer import import_tokenizer
from voxmill.text.tokenizer import (
    TextTokenizer,
    train_bpe,
    train_characters,
    train_words,
    write_folder,
)
from voxmill.training.config import TrainConfig


class CtcFamily:
    """A CTC head on a conformer from scratch, or on a pretrained encoder."""

    name = "ctc"
    version = 1

    def check_start(self, start: Path, model: BaseModel) -> None:
        """Reads the base model's configuration, and a foreign checkpoint with the safe loader.

        Raises:
            DataError: Another architecture, rate or front end than the model section says, or a
                checkpoint that holds code, is damaged, or has no tensors.
        """
        from voxmill.families.ctc.starting import check_start

        check_start(start, _typed(model))

    def tokenizer(
        self, texts: Sequence[str], model: BaseModel, out: Path, *, imported: Path | None = None
    ) -> None:
        """Trains characters, BPE pieces or words and writes the folder; or takes one over.

        Raises:
            DataError: The texts cannot carry the asked vocabulary, or the imported tokenizer lacks
                characters of theirs or has no blank as token 0.
        """
        if imported is not None:
            return import_tokenizer(imported, texts, out)
        vocabulary = _typed(model).vocabulary
        if vocabulary.kind == "bpe":
            trained = train_bpe(texts, vocabulary.size)
        elif vocabulary.kind == "word":
            trained = train_words(texts)
        else:
            trained = train_characters(texts)
        return write_folder(trained, out)

    def encode(self, tokenizer: Path, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids of each text, without blanks."""
        text_tokenizer = TextTokenizer.from_folder(tokenizer)
        return [text_tokenizer.encode(text) for text in texts]

    def frames(self, seconds: float, model: BaseModel) -> int:
        """Output frames of a recording; exact, as the network gives them."""
        from voxmill.families.ctc.hearing import hearing_of

        hearing = hearing_of(_typed(model))
        return hearing.frames_of(round(seconds * hearing.frontend.sample_rate_hz))

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
        from voxmill.families.ctc.training import training_kit

        return training_kit(
            prepared=prepared, utterances=utterances, model=_typed(model), train=train, stop=stop
        )

    def export(self, *, checkpoint: Path, prepared: Path, model: BaseModel) -> Exportable:
        """The trained model in pieces.

        Raises:
            DataError: The checkpoint is damaged or does not fit the model.
        """
        from voxmill.families.ctc.export import exportable
        from voxmill.training.checkpoint import load_checkpoint

        state = load_checkpoint(checkpoint).state
        return exportable(
            tensors=state["learner"]["model"],
            prepared=prepared,
            model=_typed(model),
        )

    def recogniser(self, artefact: Artefact, *, decoder: str) -> Recogniser:
        """Opens `hf`, `onnx-fp32` or `onnx-int8`; each computes on one thread.

        Raises:
            UsageError: There is no artefact or decoder of that name.
            DataError: The artefact cannot be read, or lacks the decoder's language model.
        """
        folder = artefact.path if artefact.name == "hf" else artefact.path.parent
        chosen = decoder_named(decoder, folder)
        if artefact.name == "hf":
            from voxmill.families.ctc.hf_recogniser import HuggingFaceRecogniser

            return HuggingFaceRecogniser(artefact.path, chosen)
        if artefact.name in ("onnx-fp32", "onnx-int8") and chosen.name == ATTENTION:
            raise UsageError(
                f"Artefact {artefact.name}: ONNX files hold the CTC branch alone. Measure the "
                "attention decoder with evaluate.artefacts: [hf] and evaluate.main_artefact: hf."
            )
        if artefact.name in ("onnx-fp32", "onnx-int8"):
            from voxmill.families.ctc.onnx_recogniser import OnnxRecogniser

            return OnnxRecogniser(artefact.path, chosen)
        raise UsageError(
            f"Artefact {artefact.name!r}: the family ctc packages hf, onnx-fp32 and onnx-int8. "
            "Name one of them."
        )


def _typed(model: BaseModel) -> CtcModelConfig:
    if not isinstance(model, CtcModelConfig):
        raise TypeError(f"the catalogue gave the family ctc a {type(model).__name__}")
    return model
