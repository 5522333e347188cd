"""What the attention decoder is trained for.

Legend: B utterances, U labels, V tokens.
"""

from __future__ import annotations

import torch
from torch.nn import functional

IGNORED = -100
"""Target of a place past the end of a text."""


def attention_texts(
    labels: torch.Tensor, counts: torch.Tensor, *, boundary: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder is given and what it is to answer.

    Args:
        labels: (B, U) int64, padded with anything.
        counts: (B,) labels of each utterance.
        boundary: The token that begins and ends a text.

    Returns:
        (B, U + 1) the boundary and the labels, and (B, U + 1) the labels and the boundary, with
        `IGNORED` past each end.
    """
    places = torch.arange(labels.shape[1] + 1, device=labels.device)
    ends = counts[:, None]
    edge = labels.new_full((len(labels), 1), boundary)
    given = torch.cat([edge, labels], dim=1)
    answers = torch.cat([labels, edge], dim=1).masked_fill(places == ends, boundary)
    return given, answers.masked_fill(places > ends, IGNORED)


def attention_loss(
    scores: torch.Tensor, answers: torch.Tensor, *, smoothing: float
) -> torch.Tensor:
    """() nats, summed over every token and end of text.

    Args:
        scores: (B, U + 1, V + 1) of the decoder.
        answers: (B, U + 1), see `attention_texts`.
        smoothing: Share of a target's probability that is spread over all tokens.
    """
    return functional.cross_entropy(
        scores.float().flatten(0, 1),
        answers.flatten(),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="sum",
    )
