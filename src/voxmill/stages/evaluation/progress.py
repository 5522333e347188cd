"""Transcriptions of an interrupted try, so that the next one does not listen twice."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmill.corpus.manifest import write_text
from voxmill.families.family import Hypothesis

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was heard, and the seconds of computing that it took."""

    hypothesis: Hypothesis
    compute_seconds: float


class Progress:
    """What earlier tries heard, by artefact and utterance.

    A file of another fingerprint speaks of other inputs and is passed over.
    """

    def __init__(self, path: Path, *, fingerprint: str | None) -> None:
        """Takes up an earlier try's file where it is of the same fingerprint.

        Args:
            path: The file; it need not exist.
            fingerprint: Stands for all inputs; None trusts no earlier try.
        """
        self.path = path
        self._fingerprint = fingerprint
        self._heard = self._read() if fingerprint else {}

    def __len__(self) -> int:
        return len(self._heard)

    def get(self, artefact: str, utterance: str) -> Heard | None:
        """What is known already, or None."""
        return self._heard.get((artefact, utterance))

    def add(self, artefact: str, utterance: str, heard: Heard) -> None:
        """Keeps one transcription in memory."""
        self._heard[artefact, utterance] = heard

    def save(self) -> None:
        """Writes everything heard so far, whole or not at all."""
        lines = [json.dumps({"fingerprint": self._fingerprint})]
        lines += [
            json.dumps(
                {
                    "artefact": artefact,
                    "compute_seconds": heard.compute_seconds,
                    "decoder": heard.hypothesis.decoder,
                    "id": utterance,
                    "text": heard.hypothesis.text,
                }
            )
            for (artefact, utterance), heard in self._heard.items()
        ]
        write_text(self.path, "\n".join(lines) + "\n")

    def clear(self) -> None:
        """Forgets the file; a run that is forced later measures anew."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[tuple[str, str], Heard]:
        if not self.path.is_file():
            return {}
        try:
            first, *rest = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
            if first["fingerprint"] != self._fingerprint:
                return {}
            heard = {(row["artefact"], row["id"]): _heard(row) for row in rest}
        except (ValueError, KeyError, TypeError):
            logger.warning("Passing over %s: it cannot be read as earlier progress", self.path)
            return {}
        logger.info("Going on from %d transcriptions of an earlier try", len(heard))
        return heard


def fingerprint(files: Sequence[Path], *, decoder: str) -> str | None:
    """Stands for the inputs of a measurement; None where one of the files is missing."""
    if not all(path.is_file() for path in files):
        return None
    digest = hashlib.sha256(decoder.encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _heard(row: dict[str, str]) -> Heard:
    return Heard(
        hypothesis=Hypothesis(text=row["text"], decoder=row["decoder"]),
        compute_seconds=float(row["compute_seconds"]),
    )
