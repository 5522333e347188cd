"""`voxmill transcribe PACKAGE RECORDING…`: a released package at work, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from voxmill.families.family import Samples
    from voxmill.signal.frontend import FrontendSettings

FILES = {"onnx-fp32": "model.onnx", "onnx-int8": "model.int8.onnx"}
FRONTEND_FILE = "frontend.json"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(transcribe)


def transcribe(
    package: Annotated[Path, typer.Argument(help="Folder of stage package, or its onnx folder.")],
    recordings: Annotated[
        list[Path], typer.Argument(help="WAV, FLAC, Ogg or MP3; .npy where it hears features.")
    ],
    *,
    artefact: Annotated[
        Literal["onnx-fp32", "onnx-int8"], typer.Option(help="Which of the files hears.")
    ] = "onnx-fp32",
    decoder: Annotated[
        str, typer.Option(help="greedy, beam16, beam-lm, beam:1-1 (one token).")
    ] = "greedy",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each.")] = False,
) -> None:
    """Writes what a released package hears in each recording, one line for each."""
    from voxmill.families.ctc.decode import decoder_named
    from voxmill.families.ctc.onnx_recogniser import OnnxRecogniser

    folder = _onnx_folder(package)
    settings = _settings(folder / FRONTEND_FILE)
    recogniser = OnnxRecogniser(folder / FILES[artefact], decoder_named(decoder, folder))
    for path in recordings:
        samples = _read(path, settings)
        text = recogniser.transcribe(samples).text
        seconds = round(len(samples) / settings.sample_rate_hz, 3)
        line = {"recording": str(path), "seconds": seconds, "text": text}
        typer.echo(json.dumps(line, ensure_ascii=False) if as_json else f"{path}\t{text}")


def _onnx_folder(package: Path) -> Path:
    """Where the ONNX files are.

    Raises:
        UsageError: Neither here nor in `onnx/`.
    """
    from voxmill.errors import UsageError

    for folder in (package, package / "onnx"):
        if (folder / FRONTEND_FILE).is_file():
            return folder
    raise UsageError(
        f"{package} is no package: no {FRONTEND_FILE} in it or in its folder onnx. A release has "
        f"it in artifacts/<recipe>/package, after `voxmill dvc pull`."
    )


def _settings(file: Path) -> FrontendSettings:
    from voxmill.errors import DataError
    from voxmill.signal.frontend import settings_from_json

    try:
        return settings_from_json(json.loads(file.read_text("utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"Front end {file} cannot be read: {error}. Run package.") from error


def _read(path: Path, settings: FrontendSettings) -> Samples:
    """(N,) samples at the package's rate, or (T, D) features."""
    from voxmill.signal.array_file import read_array
    from voxmill.signal.audio_file import read_audio
    from voxmill.signal.resample import resample
    from voxmill.signal.standardise import FeatureSettings

    if isinstance(settings, FeatureSettings):
        return read_array(path.read_bytes(), name=str(path), dimensions=settings.dimensions)
    audio = read_audio(path)
    return resample(audio.samples, from_hz=audio.sample_rate_hz, to_hz=settings.sample_rate_hz)
