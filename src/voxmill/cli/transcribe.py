"""`voxmill transcribe PACKAGE RECORDING…`: a released package at work, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

FILES = {"onnx-fp32": "model.onnx", "onnx-int8": "model.int8.onnx"}
FRONTEND_FILE = "frontend.json"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(transcribe)


def transcribe(
    package: Annotated[Path, typer.Argument(help="Folder of stage package, or its onnx folder.")],
    recordings: Annotated[list[Path], typer.Argument(help="WAV, FLAC, Ogg or MP3.")],
    *,
    artefact: Annotated[
        Literal["onnx-fp32", "onnx-int8"], typer.Option(help="Which of the files hears.")
    ] = "onnx-fp32",
    decoder: Annotated[str, typer.Option(help="greedy, beam or beam16.")] = "greedy",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each.")] = False,
) -> None:
    """Writes what a released package hears in each recording, one line for each."""
    from voxmill.families.ctc.decode import decoder_named
    from voxmill.families.ctc.onnx_recogniser import OnnxRecogniser
    from voxmill.signal.audio_file import read_audio
    from voxmill.signal.resample import resample

    folder = _onnx_folder(package)
    rate_hz = _rate_hz(folder / FRONTEND_FILE)
    recogniser = OnnxRecogniser(folder / FILES[artefact], decoder_named(decoder))
    for path in recordings:
        audio = read_audio(path)
        samples = resample(audio.samples, from_hz=audio.sample_rate_hz, to_hz=rate_hz)
        text = recogniser.transcribe(samples).text
        line = {"recording": str(path), "seconds": round(audio.seconds, 3), "text": text}
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


def _rate_hz(file: Path) -> int:
    from voxmill.errors import DataError

    try:
        return int(json.loads(file.read_text("utf-8"))["sample_rate_hz"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"Front end {file} names no sample_rate_hz: {error}.") from error
