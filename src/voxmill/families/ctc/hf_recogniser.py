"""Recognises speech with a packaged Hugging Face folder, through transformers.

Legend: N samples, T input frames (mel frames, samples, or steps of features), F mel bands or
dimensions of features, S output frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC
from transformers.utils.logging import disable_progress_bar

from voxmill.errors import DataError, UsageError
from voxmill.families.ctc.decode import ATTENTION, Decoder
from voxmill.families.ctc.hearing import Hearing, batch_frontend, mel_hearing, whisper_hearing
from voxmill.families.ctc.model import settings_of
from voxmill.families.ctc.modeling_voxformer import VoxformerConfig, VoxformerForCTC
from voxmill.families.ctc.network import log_probabilities
from voxmill.families.family import Hypothesis, Samples
from voxmill.signal.frontend import settings_from_json
from voxmill.signal.standardise import FeatureSettings
from voxmill.signal.waveform import WaveformSettings
from voxmill.text.tokenizer import TextTokenizer

FRONTEND_FILE = "frontend.json"
"""Beside the weights where the input is features, for transformers has no extractor for them."""


class HuggingFaceRecogniser:
    """The folder's own model and processor, on one thread like the ONNX recogniser."""

    def __init__(self, folder: Path, decoder: Decoder) -> None:
        """Loads the folder; nothing is fetched, nothing is unpickled, no code of it is run.

        Raises:
            DataError: The folder cannot be loaded.
            UsageError: The attention decoder is asked of a model that was trained without one.
        """
        self._decoder = decoder
        disable_progress_bar()
        local = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._model = (
                _class_of(folder).from_pretrained(str(folder), use_safetensors=True, **local).eval()
            )
            self._extractor: Any = None  # transformers has none for features
            features = _feature_settings(folder)
            if features is None:
                self._extractor = AutoFeatureExtractor.from_pretrained(str(folder), **local)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"Hugging Face folder {folder} cannot be loaded: {error}. Run package."
            ) from error
        if decoder.name == ATTENTION and not _has_decoder(self._model):
            raise UsageError(
                f"evaluate.decoder is {ATTENTION}, but {folder} holds no attention decoder: it "
                "was trained with model.ctc_weight 1. Choose greedy or beam."
            )
        self._hearing = _hearing(self._model, self._extractor, features)
        self._tokenizer = TextTokenizer.from_folder(folder)

    def transcribe(self, samples: Samples) -> Hypothesis:
        """Recognises one utterance; too short a recording has an empty transcript."""
        frontend = self._hearing.frontend
        if len(samples) < frontend.min_samples:
            return Hypothesis(text="", decoder=self._decoder.name)
        with torch.inference_mode(), _one_thread():
            frames = torch.tensor([frontend.frames(len(samples))])
            labels = self._labels(self._features(samples), frames)
        return Hypothesis(text=self._tokenizer.decode(labels), decoder=self._decoder.name)

    def _labels(self, features: torch.Tensor, frames: torch.Tensor) -> tuple[int, ...]:
        if self._decoder.name == ATTENTION:
            longest = int(self._hearing.output_frames(frames))
            heard = self._hearing.arguments(features, frames)
            return tuple(self._model.attend(**heard, max_labels=longest)[0])
        scores = log_probabilities(self._model, self._hearing, features, frames)[0]
        return self._decoder.decode(scores[: int(self._hearing.output_frames(frames))].numpy())

    def _features(self, samples: Samples) -> torch.Tensor:
        """(1, T, F) or (1, T) as the folder's own extractor, or frontend.json, gives them."""
        if isinstance(self._hearing.frontend, FeatureSettings):
            return batch_frontend(self._hearing.frontend)([samples])[0]
        asked: dict[str, Any] = {
            "sampling_rate": self._extractor.sampling_rate,
            "return_tensors": "pt",
        }
        if isinstance(self._hearing.frontend, WaveformSettings):
            values: torch.Tensor = self._extractor(samples, **asked).input_values
            return values
        if self._hearing.frontend.normalise != "loudest":
            features: torch.Tensor = self._extractor(samples, **asked).input_features
            return features
        # Whisper's extractor fills up to 30 s; a little silence has the same frames in it.
        enough = len(samples) + self._extractor.n_fft
        heard = self._extractor(samples, padding="max_length", max_length=enough, **asked)
        frames = self._hearing.frontend.frames(len(samples))
        spoken: torch.Tensor = heard.input_features[..., :frames].transpose(1, 2)
        return spoken


def _class_of(folder: Path) -> Any:
    """A folder with code of its own is opened with this package's, never with what it carries."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return (
        VoxformerForCTC if values["model_type"] == VoxformerConfig.model_type else AutoModelForCTC
    )


def _feature_settings(folder: Path) -> FeatureSettings | None:
    """How arrays are standardised; None where the folder hears sound."""
    file = folder / FRONTEND_FILE
    if not file.is_file():
        return None
    settings = settings_from_json(json.loads(file.read_text(encoding="utf-8")))
    return settings if isinstance(settings, FeatureSettings) else None


def _hearing(model: Any, extractor: Any, features: FeatureSettings | None) -> Hearing:
    if features is not None:
        subsampling = model.config.encoder_config.subsampling_factor
        return Hearing(frontend=features, subsampling=subsampling)
    if not isinstance(model, VoxformerForCTC):
        return mel_hearing(settings_of(extractor), model.config.encoder_config.subsampling_factor)
    if model.hears_waveform:
        settings = WaveformSettings(
            sample_rate_hz=extractor.sampling_rate,
            zero_mean_unit_variance=extractor.do_normalize,
        )
        return Hearing(frontend=settings, subsampling=0)
    return whisper_hearing(extractor.feature_size)


def _has_decoder(model: Any) -> bool:
    return isinstance(model, VoxformerForCTC) and model.decoder is not None


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
