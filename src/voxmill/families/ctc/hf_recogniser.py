"""Recognises speech with a packaged Hugging Face folder, through transformers.

Legend: T mel frames, F mel bands, S output frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoModelForCTC, AutoProcessor
from transformers.utils.logging import disable_progress_bar

from voxmill.errors import DataError
from voxmill.families.ctc.decode import Decoder
from voxmill.families.ctc.model import log_probabilities, output_frames, settings_of
from voxmill.families.family import Hypothesis, Samples
from voxmill.signal.mel import MIN_FRAMES
from voxmill.text.tokenizer import TextTokenizer


class HuggingFaceRecogniser:
    """The folder's own model and processor, on one thread like the ONNX recogniser."""

    def __init__(self, folder: Path, decoder: Decoder) -> None:
        """Loads the folder; nothing is fetched and nothing is unpickled.

        Raises:
            DataError: The folder cannot be loaded.
        """
        self._decoder = decoder
        disable_progress_bar()
        try:
            self._model = AutoModelForCTC.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            ).eval()
            self._extractor = AutoProcessor.from_pretrained(
                str(folder), local_files_only=True
            ).feature_extractor
        except (OSError, ValueError) as error:
            raise DataError(
                f"Hugging Face folder {folder} cannot be loaded: {error}. Run package."
            ) from error
        self._mel = settings_of(self._extractor)
        self._hearing = {
            "sampling_rate": self._mel.sample_rate_hz,
            "return_attention_mask": True,
            "return_tensors": "pt",
        }
        self._tokenizer = TextTokenizer.from_folder(folder)

    def transcribe(self, samples: Samples) -> Hypothesis:
        """Recognises one utterance; too short a recording has an empty transcript."""
        if self._mel.frames(len(samples)) < MIN_FRAMES:
            return Hypothesis(text="", decoder=self._decoder.name)
        with torch.inference_mode(), _one_thread():
            heard = self._extractor(samples, **self._hearing)
            mel_frames = heard.attention_mask.sum(-1)
            scores = log_probabilities(self._model, heard.input_features, mel_frames)[0]
        subsampling = self._model.config.encoder_config.subsampling_factor
        frames = output_frames(int(mel_frames[0]), subsampling)
        labels = self._decoder.decode(scores[:frames].numpy())
        return Hypothesis(text=self._tokenizer.decode(labels), decoder=self._decoder.name)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
