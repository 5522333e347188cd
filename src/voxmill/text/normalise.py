"""Transcripts in one spelling, so that a model learns words and not typography.

Letters with diacritics stay what they are: č ć š ž đ are letters of their own, and a normaliser
that strips them (as Whisper's own does) turns one word into another.
"""

from __future__ import annotations

import unicodedata

from voxmill.text.config import TextConfig

_APOSTROPHES = dict.fromkeys((0x2019, 0x2018, 0x02BC, 0xFF07, 0x201B, 0x0060, 0x00B4), "'")
"""Typographic, modifier and full-width apostrophes; grave and acute accents that stand alone."""
_JOINERS = frozenset("\u200c\u200d")
"""Zero-width (non-)joiners shape letters of some scripts; between others they mean nothing."""


def normalise(text: str, config: TextConfig) -> str:
    """A transcript as the model learns it; applying it twice changes nothing more.

    Control signs vanish, white space becomes single spaces, Unicode takes one form and letters
    one case. Punctuation becomes a space (`twenty-one` stays two words), apostrophes inside a
    word stay.
    """
    text = _visible(text)
    if config.strip_punctuation:
        text = text.translate(_APOSTROPHES)  # NFKC would split a lone accent into space and mark
    text = _settled(text, config)
    if config.strip_punctuation:
        text = _settled(_unpunctuated(text.translate(_APOSTROPHES)), config)
    return " ".join(text.split())


def _settled(text: str, config: TextConfig) -> str:
    """One Unicode form, one case; changing the case of a letter can undo its form."""
    text = unicodedata.normalize(config.unicode_form, text)
    if config.case != "keep":
        text = text.lower() if config.case == "lower" else text.upper()
    return unicodedata.normalize(config.unicode_form, text)


def _visible(text: str) -> str:
    """Without control and format signs such as a byte order mark or a soft hyphen."""
    return "".join(
        " " if sign.isspace() else sign
        for sign in text
        if sign.isspace() or sign in _JOINERS or unicodedata.category(sign) not in ("Cc", "Cf")
    )


def _unpunctuated(text: str) -> str:
    return "".join(
        " " if unicodedata.category(sign)[0] == "P" and not _is_inner_apostrophe(text, i) else sign
        for i, sign in enumerate(text)
    )


def _is_inner_apostrophe(text: str, place: int) -> bool:
    """Whether it is an apostrophe with a letter on either side, as in `don't`."""
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    return text[place] == "'" and _is_letter(before) and _is_letter(after)


def _is_letter(sign: str) -> bool:
    return sign != "" and unicodedata.category(sign)[0] in "LM"
