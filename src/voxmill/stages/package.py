"""The stage package: Hugging Face and ONNX artefacts of the best checkpoint, with proofs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from voxmill.corpus.manifest import read_lines
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.catalogue import load_family
from voxmill.families.family import Artefact, Exportable, Family
from voxmill.observability.recorder import Recorder
from voxmill.packaging.bundle import write_package
from voxmill.packaging.hearing import Hearing, hear
from voxmill.packaging.model_card import render
from voxmill.packaging.parity import Parity, measure_fp32, measure_int8
from voxmill.packaging.speech_samples import SpeechSamples, read_speech
from voxmill.recipe.sections import LanguageModelConfig, PackageConfig
from voxmill.signal.frontend import FEATURES
from voxmill.stages.packaging.card import describe
from voxmill.stages.sample_rate import sample_rate_of
from voxmill.stages.stage import Check, StageContext, StageOutcome
from voxmill.text.ngram import NgramModel
from voxmill.text.tokenizer import TextTokenizer

_SPEECH_SECONDS = 300.0  # enough frames (7500 at 40 ms) to tell 97 % agreement from 98 %
_HEARD_UTTERANCES = 8
_TRACE_SECONDS: tuple[float, ...] = (1.3, 0.9)
_TRACE_STEPS = (130, 90)
"""Of features, whose steps may be of any length."""


class PackageStage:
    """Writes `hf/`, `onnx/`, `artefacts.json` and `parity.json`, and measures what it wrote."""

    name = "package"
    version = 2

    def __init__(self, families: Callable[[str], Family] = load_family) -> None:
        self._families = families

    def run(self, context: StageContext) -> StageOutcome:
        """Fills `context.out`.

        Raises:
            DataError: The checkpoint is damaged or of another model, or prepare's output cannot
                be read.
        """
        recipe = context.recipe
        family = self._families(recipe.family)
        pieces = family.export(
            checkpoint=context.input("train") / "best",
            prepared=context.input("prepare"),
            model=recipe.model,
        )
        utterances = read_lines(context.input("prepare") / "utterances.jsonl", PreparedUtterance)
        speech = read_speech(
            context.input("prepare"),
            utterances,
            sample_rate_hz=sample_rate_of(recipe.model),
            max_seconds=_SPEECH_SECONDS,
        )
        audible = pieces.frontend.get("kind") != FEATURES
        trace = _TRACE_SECONDS
        if not audible:
            trace = tuple(steps / speech.sample_rate_hz for steps in _TRACE_STEPS)
        card = describe(recipe, pieces, utterances, inputs=context.inputs)
        artefacts = write_package(
            pieces,
            context.out,
            card=render(card),
            batch=speech.of_lengths(trace),
            language=_language(recipe.package.language_model, pieces, utterances),
        )
        proofs = _proofs(family, pieces, artefacts, speech, recipe.package)
        _write_parity(context.out / "parity.json", proofs.parity)
        _record_sizes(context.recorder, artefacts)
        return StageOutcome(
            checks=_checks(artefacts, proofs, recipe.package, audible=audible),
            figures=_figures(artefacts, proofs),
        )


@dataclass(frozen=True, kw_only=True)
class _Proofs:
    parity: Parity
    hearing: Hearing


def _language(
    config: LanguageModelConfig,
    pieces: Exportable,
    utterances: Sequence[PreparedUtterance],
) -> NgramModel | None:
    """Counted on what was trained on, and on nothing that is measured."""
    if not config.order:
        return None
    return NgramModel.counted(
        (utterance.labels for utterance in utterances if utterance.split == "train"),
        order=config.order,
        tokens=TextTokenizer.from_folder(pieces.tokenizer).size,
        weight=config.weight,
        token_bonus=config.token_bonus,
    )


def _proofs(
    family: Family,
    pieces: Exportable,
    artefacts: Sequence[Artefact],
    speech: SpeechSamples,
    config: PackageConfig,
) -> _Proofs:
    place = {artefact.name: artefact for artefact in artefacts}
    parity = Parity(
        batches=measure_fp32(
            pieces.graph,
            place["onnx-fp32"].path,
            utterances=speech.of_lengths(config.parity_seconds),
            sample_rate_hz=speech.sample_rate_hz,
        ),
        int8=measure_int8(pieces.graph, place["onnx-int8"].path, utterances=speech.utterances),
    )
    hearing = hear(
        place["hf"].path,
        task=pieces.task,
        recogniser=family.recogniser(place["hf"], decoder="greedy"),
        utterances=speech.utterances[:_HEARD_UTTERANCES],
    )
    return _Proofs(parity=parity, hearing=hearing)


def _figures(artefacts: Sequence[Artefact], proofs: _Proofs) -> dict[str, JsonValue]:
    return {
        "bytes": {artefact.name: artefact.bytes for artefact in artefacts},
        "parity_largest_difference": proofs.parity.largest_difference,
        "int8_agreement": proofs.parity.int8.share,
        "int8_frames": proofs.parity.int8.frames,
        "pipeline_heard": proofs.hearing.heard,
        "pipeline_same_text": proofs.hearing.same,
    }


def _record_sizes(recorder: Recorder, artefacts: Sequence[Artefact]) -> None:
    for artefact in artefacts:
        recorder.record(
            {"voxmill_packaged_bytes": artefact.bytes},
            step=0,
            labels={"artefact": artefact.name},
        )


def _checks(
    artefacts: Sequence[Artefact], proofs: _Proofs, config: PackageConfig, *, audible: bool
) -> tuple[Check, ...]:
    sizes = tuple(_size_check(artefact, config.max_bytes) for artefact in artefacts)
    difference, agreement = proofs.parity.largest_difference, proofs.parity.int8.share
    return (
        *sizes,
        Check(
            name="package.parity",
            value=difference,
            limit=f"at most {config.max_parity_difference:g} between log-probabilities",
            passed=difference <= config.max_parity_difference,
            help="ONNX fp32 computes something else than PyTorch: see parity.json for the lengths.",
        ),
        Check(
            name="package.int8_agreement",
            value=agreement,
            limit=f"at least {config.min_int8_agreement:g} of the frames",
            passed=agreement >= config.min_int8_agreement,
            help="int8 loses too much: train longer, or release without the int8 artefact.",
        ),
        Check(
            name="package.loads",
            value=proofs.hearing.problem or float(proofs.hearing.heard),
            limit="loads with one call of transformers.pipeline and transcribes"
            if audible
            else "loads with AutoModelForCTC and AutoTokenizer and transcribes",
            passed=proofs.hearing.works,
            help="Call transformers.pipeline on the folder hf/ to see the whole error."
            if audible
            else "Do what hf/README.md says to see the whole error.",
        ),
    )


def _size_check(artefact: Artefact, max_bytes: int) -> Check:
    return Check(
        name=f"package.max_bytes[{artefact.name}]",
        value=float(artefact.bytes),
        limit=f"at most {max_bytes} bytes",
        passed=artefact.bytes <= max_bytes,
        help="Make model.encoder smaller, or raise package.max_bytes.",
    )


def _write_parity(file: Path, parity: Parity) -> None:
    text = json.dumps(parity.to_json(), indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")
