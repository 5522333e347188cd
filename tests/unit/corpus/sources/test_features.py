"""Arrays find their transcripts as recordings do, and are listed and mirrored byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from toys.corpora import mirrored, reasons
from toys.recordings import write_wav
from voxmill.corpus.sources.catalogue import open_source
from voxmill.corpus.sources.config import FeaturesSource, MixtureSource, feature_shape
from voxmill.corpus.sources.folder import Folder
from voxmill.errors import DataError

SHAPE = {"dimensions": 2, "frame_seconds": 0.01}


def config(**settings: Any) -> FeaturesSource:
    return FeaturesSource.model_validate(
        {"kind": "features", "path": "x", **SHAPE, **settings}, strict=False
    )


def features(path: Path, **settings: Any) -> Folder:
    return Folder(config(**settings), path, part="source")


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((4, 2), np.float32))
    return path


def test_the_file_name_tells_text_and_speaker(tmp_path: Path) -> None:
    """By the same pattern as recordings, with another suffix; recordings are passed over."""
    file = write(tmp_path / "in/day/go left_ann_1.npy")
    write_wav(tmp_path / "in/day/go right_ann_1.wav")
    source = open_source(config(), {"source": tmp_path / "in"}, work=tmp_path / "work")
    found, inventory = mirrored(source, tmp_path / "out")
    [one] = found.utterances
    assert (one.id, one.text, one.speaker) == ("day/go left_ann_1", "go left", "ann")
    assert inventory.read(one.audio) == file.read_bytes()
    assert source.listing().kind == "features"


def test_a_sidecar_or_a_table_tells_the_text(tmp_path: Path) -> None:
    """As of the source `folder`; what lacks its other half is told."""
    for name in ("a", "b", "c"):
        write(tmp_path / f"in/{name}.npy")
    (tmp_path / "in/a.txt").write_text("yes\n")
    (tmp_path / "in/b.txt").write_text("0\n")
    (tmp_path / "in/metadata.csv").write_text("c|maybe\nd|no\n")
    found, _ = mirrored(
        features(tmp_path / "in", transcript="txt", spell={"0": "zero"}), tmp_path / "txt"
    )
    assert [(one.id, one.text) for one in found.utterances] == [("a", "yes"), ("b", "zero")]
    assert reasons(found) == {"c": "audio_without_transcript"}
    found, _ = mirrored(features(tmp_path / "in", transcript="csv"), tmp_path / "csv")
    assert [(one.id, one.text) for one in found.utterances] == [("c", "maybe")]
    assert reasons(found)["d"] == "transcript_without_audio"


def test_a_folder_without_arrays_is_told(tmp_path: Path) -> None:
    """With the suffix that is expected."""
    write_wav(tmp_path / "in/go_ann_1.wav")
    with pytest.raises(DataError, match=r"features source .* holds no recordings.*\.npy"):
        features(tmp_path / "in").listing()


def test_a_mixture_is_of_sound_or_of_arrays_of_one_shape() -> None:
    """One network hears all parts."""
    one = {"kind": "features", "path": "x", **SHAPE}
    sound = {"kind": "folder", "path": "y"}
    same = MixtureSource.model_validate({"kind": "mixture", "parts": {"a": one, "b": one}})
    assert feature_shape(same) == (2, 0.01)
    for other in (sound, {**one, "dimensions": 3}, {**one, "frame_seconds": 0.02}):
        with pytest.raises(ValidationError, match="in all parts, or in none"):
            MixtureSource.model_validate({"kind": "mixture", "parts": {"a": one, "b": other}})
