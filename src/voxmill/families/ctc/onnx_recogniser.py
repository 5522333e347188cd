"""Recognises speech with an ONNX package: numpy, onnxruntime and tokenizers, no torch.

Legend: N samples, T input frames (mel frames, or samples), F mel bands, S output frames.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from voxmill.errors import DataError
from voxmill.families.ctc.decode import Decoder
from voxmill.families.family import Hypothesis, Samples
from voxmill.signal.frontend import Frontend, frontend, settings_from_json
from voxmill.text.tokenizer import TextTokenizer

FRONTEND_FILE = "frontend.json"
TOKENIZER_FOLDER = "tokenizer"


class OnnxRecogniser:
    """One ONNX file with its front end and tokenizer beside it.

    Computes on one thread: figures of two machines then compare, and a server that hears several
    people at once loses nothing by it.
    """

    def __init__(self, file: Path, decoder: Decoder) -> None:
        """Opens the file.

        Raises:
            DataError: The file, `frontend.json` or `tokenizer/` cannot be read.
        """
        import onnxruntime

        self._decoder = decoder
        self._frontend = _frontend(file.parent / FRONTEND_FILE)
        self._tokenizer = TextTokenizer.from_folder(file.parent / TOKENIZER_FOLDER)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # onnxruntime raises a class of its own for each status, without a common base
            raise DataError(f"ONNX file {file} cannot be opened: {error}. Run package.") from error
        self._names = [entry.name for entry in self._session.get_inputs()]

    def transcribe(self, samples: Samples) -> Hypothesis:
        """Recognises one utterance; too short a recording has an empty transcript."""
        features = self._frontend(samples)  # (T, F) or (T,)
        if not len(features):
            return Hypothesis(text="", decoder=self._decoder.name)
        heard, lengths = self._names
        inputs = {heard: features[None], lengths: np.array([len(features)], dtype=np.int64)}
        scores, frames = self._session.run(None, inputs)  # (1, S, tokens), (1,)
        labels = self._decoder.decode(scores[0, : frames[0]])
        return Hypothesis(text=self._tokenizer.decode(labels), decoder=self._decoder.name)


def _frontend(file: Path) -> Frontend:
    try:
        return frontend(settings_from_json(json.loads(file.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"Front end {file} cannot be read: {error}. Run package.") from error
