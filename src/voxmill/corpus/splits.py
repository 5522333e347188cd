"""Who is trained on and who is tested on: a function of ids, never of chance or order.

An id's place on [0, 1) is the start of SHA-256 over salt and id; shares cut that line. So new
data moves nobody, and what was once assigned is kept in memory even if shares change later.
Where a split would stay empty (few speakers), the nearest newcomer goes there; memory keeps that
too. Assignments that the recipe itself states (subsets, named speakers, parts to train on only)
follow the recipe and are not memorised.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from voxmill.corpus.config import SplitConfig
from voxmill.corpus.utterance import ONLY_PART, SourceUtterance
from voxmill.errors import DataError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_SPEAKER_PREFIX = "speaker:"


class SplitLine(BaseModel):
    """One line of memory: an utterance's id, or `speaker:NAME`, and its split for good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    split: str


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The split of each utterance, and what memory has to learn."""

    by_utterance: Mapping[str, str]
    """Split by utterance id."""
    new_lines: tuple[SplitLine, ...]
    """Assignments that memory does not have yet, in order of id."""


def split(
    utterances: Sequence[SourceUtterance], config: SplitConfig, memory: Iterable[SplitLine] = ()
) -> Splits:
    """Assigns every utterance to a split.

    Args:
        utterances: In any order; the result does not depend on it.
        config: Rules of the recipe.
        memory: Earlier assignments; they never move.

    Raises:
        DataError: The recipe assigns a subset or speaker that no utterance has, or memory holds
            two splits for what must now stay together.
    """
    stated = _stated(utterances, config)
    remembered: dict[str, str] = {}
    for line in memory:
        remembered.setdefault(line.id, line.split)  # of two runs at once the first one counts
    open_ones = [one for one in utterances if one.id not in stated]
    units = {one.id: _unit(one, config) for one in open_ones}
    earlier = _earlier(open_ones, units, remembered)
    new = _fresh(
        sorted(set(units.values()) - set(earlier)),
        Counter(earlier.values()),
        _Shares.of(config),
        _speakers_to_train_on(utterances, config),
    )
    by_unit = {**earlier, **new}
    by_utterance = {
        one.id: stated[one.id] if one.id in stated else by_unit[units[one.id]] for one in utterances
    }
    lines = (SplitLine(id=unit, split=by_unit[unit]) for unit in sorted(by_unit))
    return Splits(
        by_utterance=by_utterance,
        new_lines=tuple(line for line in lines if line.id not in remembered),
    )


def place_of(unit: str, salt: str) -> float:
    """Where an id stands on [0, 1): the same on every machine, for ever."""
    digest = hashlib.sha256(f"{salt}{unit}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / float(1 << 53)  # all that a float can hold


@dataclass(frozen=True)
class _Shares:
    """How the line [0, 1) is cut: test first, then validation, the rest is trained on."""

    test: float
    validation: float
    salt: str

    @classmethod
    def of(cls, config: SplitConfig) -> _Shares:
        """Test sets that the recipe names are the only ones: hashing then adds none."""
        named = config.by in ("subset", "explicit")
        return cls(0.0 if named else config.test_share, config.validation_share, config.salt)

    def split_at(self, place: float) -> str:
        if place < self.test:
            return TEST
        return VALIDATION if place < self.test + self.validation else TRAIN

    @property
    def wanted(self) -> tuple[str, ...]:
        """Splits that must not stay empty, the most needed first."""
        asked = ((TRAIN, 1.0), (TEST, self.test), (VALIDATION, self.validation))
        return tuple(name for name, share in asked if share > 0)


def _stated(utterances: Sequence[SourceUtterance], config: SplitConfig) -> dict[str, str]:
    """Split by utterance id where the recipe itself says it."""
    stated: dict[str, str] = {}
    if config.by in ("subset", "explicit"):
        names = {one.id: _names(one, config) for one in utterances}
        _refuse_unknown(config, {name for several in names.values() for name in several})
        for identity, several in names.items():
            known = next((name for name in several if name in config.assign), None)
            if known is not None:
                stated[identity] = config.assign[known]
    train_only = frozenset(config.train_only_parts)
    return {**stated, **{one.id: TRAIN for one in utterances if one.part in train_only}}


def _names(utterance: SourceUtterance, config: SplitConfig) -> tuple[str, ...]:
    """What an assignment may call an utterance by, the most exact name first.

    A part of a mixture is a name too: a folder of recordings from the field has no subsets.
    """
    if config.by == "explicit":
        return (utterance.speaker,)
    if utterance.part == ONLY_PART:
        return (utterance.subset,)
    return (f"{utterance.part}/{utterance.subset}", utterance.subset, utterance.part)


def _refuse_unknown(config: SplitConfig, found: set[str]) -> None:
    unknown = sorted(set(config.assign) - found)
    if not unknown:
        return
    kind = "subset" if config.by == "subset" else "speaker"
    raise DataError(
        f"Split: prepare.split.assign names the {kind}s {', '.join(unknown)}, but no accepted "
        f"utterance has them; found: {', '.join(sorted(found)) or 'none'}. Correct the recipe."
    )


def _unit(utterance: SourceUtterance, config: SplitConfig) -> str:
    """What stays together: the whole speaker, or one utterance."""
    if config.by == "speaker":
        return f"{_SPEAKER_PREFIX}{utterance.speaker}"
    return utterance.id


def _earlier(
    utterances: Sequence[SourceUtterance],
    units: Mapping[str, str],
    remembered: Mapping[str, str],
) -> dict[str, str]:
    """Split by unit where memory knows it, even if the recipe split by something else then."""
    found: dict[str, str] = {}
    for one in utterances:
        unit = units[one.id]
        speaker = f"{_SPEAKER_PREFIX}{one.speaker}"
        known = next((remembered[i] for i in (unit, one.id, speaker) if i in remembered), None)
        if known is None:
            continue
        if found.setdefault(unit, known) != known:
            raise DataError(
                f"Split by speaker: memory has utterances of {one.speaker} in {found[unit]} and in "
                f"{known}, for they were split by utterance. Keep `prepare.split.by: hash`, or "
                "begin a recipe with a name of its own, whose tests start anew."
            )
    return found


def _speakers_to_train_on(
    utterances: Sequence[SourceUtterance], config: SplitConfig
) -> frozenset[str]:
    """Units of speakers who are trained on in one part: they are not tested on in another."""
    if config.by != "speaker":
        return frozenset()
    return frozenset(
        _unit(one, config) for one in utterances if one.part in config.train_only_parts
    )


def _fresh(
    units: Sequence[str], counts: Counter[str], shares: _Shares, to_train_on: frozenset[str]
) -> dict[str, str]:
    """Split by unit for those without one; no wanted split stays empty while others have two."""
    places = {unit: place_of(unit, shares.salt) for unit in units}
    fresh = {
        unit: TRAIN if unit in to_train_on else shares.split_at(place)
        for unit, place in places.items()
    }
    counts = counts + Counter(fresh.values())
    movable = [unit for unit in units if unit not in to_train_on]
    for wanted in (name for name in shares.wanted if not counts[name]):
        givers = [unit for unit in movable if wanted == TRAIN or counts[fresh[unit]] > 1]
        if not givers:
            continue
        # Training takes the one farthest from the test end of the line, the others the nearest.
        mover = (max if wanted == TRAIN else min)(givers, key=lambda unit: (places[unit], unit))
        counts[fresh[mover]] -= 1
        counts[wanted] += 1
        fresh[mover] = wanted
    return fresh
