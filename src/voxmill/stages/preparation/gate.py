"""Prepare's gate: is there something to train, validate and test on, and are they apart?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voxmill.corpus.config import SplitConfig
from voxmill.corpus.splits import TEST, TRAIN, VALIDATION
from voxmill.corpus.utterance import PreparedUtterance
from voxmill.recipe.sections import PrepareConfig
from voxmill.stages.stage import Check

UNKNOWN_SPEAKER = "unknown"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the gate looks at."""

    prepared: Sequence[PreparedUtterance]
    skipped: int
    audio_sha256: Mapping[str, str]
    """Hash of the recording by utterance id."""


def checks(counted: Counted, config: PrepareConfig) -> tuple[Check, ...]:
    """Every check of the gate."""
    return (
        *_filled(counted.prepared, config.split),
        _unknown_share(counted.prepared, config.max_unknown_share),
        _skipped_share(counted, config.max_skipped_share),
        *_apart(counted, config.split),
    )


def unknown_characters(prepared: Iterable[PreparedUtterance]) -> tuple[int, int, str]:
    """Characters outside training texts that those do not have: how many, of how many, which.

    The tokenizer has seen training texts only; whatever else a test says it cannot write.
    """
    known: set[str] = set()
    other: list[str] = []
    for one in prepared:
        if one.split == TRAIN:
            known.update(one.text)
        else:
            other.append(one.text)
    signs = [sign for text in other for sign in text]
    unknown = [sign for sign in signs if sign not in known]
    return len(unknown), len(signs), "".join(sorted(set(unknown)))


def _filled(prepared: Sequence[PreparedUtterance], split: SplitConfig) -> list[Check]:
    counts: dict[str, int] = defaultdict(int)
    for one in prepared:
        counts[one.split] += 1
    named = sorted(set(split.assign.values()) - {TRAIN, VALIDATION})
    return [_is_filled(name, counts[name]) for name in (TRAIN, VALIDATION, *(named or [TEST]))]


def _is_filled(name: str, count: int) -> Check:
    return Check(
        name=f"prepare.utterances[{name}]",
        value=count,
        limit="at least 1",
        passed=count > 0,
        help="Raise the shares in prepare.split, assign speakers or subsets, or add data of more "
        "speakers; skipped.jsonl says what was left out.",
    )


def _unknown_share(prepared: Sequence[PreparedUtterance], limit: float) -> Check:
    unknown, total, signs = unknown_characters(prepared)
    share = unknown / total if total else 0.0
    return Check(
        name="prepare.unknown_share",
        value=round(share, 6),
        limit=f"at most {limit} of {total} characters outside the training texts",
        passed=share <= limit,
        help=f"Training texts never have {signs!r}: normalise them away (prepare.text), add "
        "training data that has them, or raise prepare.max_unknown_share.",
    )


def _skipped_share(counted: Counted, limit: float) -> Check:
    total = len(counted.prepared) + counted.skipped
    share = counted.skipped / total if total else 0.0
    return Check(
        name="prepare.skipped_share",
        value=round(share, 6),
        limit=f"at most {limit} of {total} utterances",
        passed=share <= limit,
        help="skipped.jsonl has the reason of each; a smaller model.encoder.subsampling gives "
        "more frames, a BPE vocabulary needs fewer labels.",
    )


def _apart(counted: Counted, split: SplitConfig) -> list[Check]:
    """No recording and, where splits go by speaker, no voice may be on two sides."""
    hashes = ((one.split, counted.audio_sha256[one.id]) for one in counted.prepared)
    found = [_zero("prepare.utterance_overlap", _shared(hashes), "recordings")]
    if split.by in ("speaker", "explicit"):
        speakers = [
            (_side(one.split, split), one.speaker)
            for one in counted.prepared
            if one.speaker != UNKNOWN_SPEAKER
        ]
        found.append(_zero("prepare.speaker_overlap", _shared(speakers), "speakers"))
    return found


def _side(name: str, split: SplitConfig) -> str:
    """With named test speakers the others are shared between training and validation."""
    return TRAIN if split.by == "explicit" and name == VALIDATION else name


def _shared(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """What stands on more than one side."""
    sides: dict[str, set[str]] = defaultdict(set)
    for side, what in pairs:
        sides[what].add(side)
    return sorted(what for what, where in sides.items() if len(where) > 1)


def _zero(name: str, shared: Sequence[str], what: str) -> Check:
    examples = ", ".join(shared[:3]) or "none"
    return Check(
        name=name,
        value=len(shared),
        limit=f"0 {what} in more than one split",
        passed=not shared,
        help=f"Tested on what was trained on, a figure says nothing ({examples}). Look at "
        "prepare.split in the recipe and at splits.jsonl in memory.",
    )
