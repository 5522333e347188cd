"""Recordings inside the page, so that a person hears what the model heard."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from voxmill.corpus.utterance import PreparedUtterance
from voxmill.families.family import Samples


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A way to write samples that browsers play."""

    media_type: str
    format: str
    subtype: str


FLAC = Codec(media_type="audio/flac", format="FLAC", subtype="PCM_16")
"""Every sample as it was."""
MP3 = Codec(media_type="audio/mpeg", format="MP3", subtype="MPEG_LAYER_III")
"""About a quarter of FLAC's size; where a lossless clip does not fit the page."""


def embed(
    utterances: Sequence[PreparedUtterance],
    *,
    samples: Callable[[PreparedUtterance], Samples],
    sample_rate_hz: int,
    budget_bytes: int,
) -> tuple[str | None, ...]:
    """A data URI for each utterance, None where its recording is too long for the page.

    Each clip may take an equal share of what is left of the budget: as FLAC where that fits, else
    as MP3, else not at all.

    Args:
        utterances: In the order of the page.
        samples: Reads a recording: (N,) in [-1, 1].
        sample_rate_hz: Of the recordings.
        budget_bytes: Largest sum of all data URIs.
    """
    left = budget_bytes
    uris: list[str | None] = []
    for position, utterance in enumerate(utterances):
        share = left // (len(utterances) - position)
        uri = _smallest_loss(samples(utterance), sample_rate_hz, share)
        left -= len(uri or "")
        uris.append(uri)
    return tuple(uris)


def _smallest_loss(samples: Samples, sample_rate_hz: int, limit: int) -> str | None:
    for codec in (FLAC, MP3):
        uri = data_uri(samples, sample_rate_hz, codec=codec)
        if len(uri) <= limit:
            return uri
    return None


def data_uri(samples: Samples, sample_rate_hz: int, *, codec: Codec) -> str:
    """The samples (N,) as a `data:` address that an audio player takes."""
    file = io.BytesIO()
    soundfile.write(
        file,
        np.clip(samples, -1.0, 1.0),
        sample_rate_hz,
        format=codec.format,
        subtype=codec.subtype,
    )
    return f"data:{codec.media_type};base64,{base64.b64encode(file.getvalue()).decode()}"
