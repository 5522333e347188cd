"""The `text` part of the `prepare` section: how transcripts are normalised."""

from __future__ import annotations

from typing import Literal

from voxmill.section import Section


class TextConfig(Section):
    """How transcripts are normalised."""

    case: Literal["lower", "upper", "keep"] = "lower"
    """What becomes of capital letters."""
    unicode_form: Literal["NFC", "NFKC"] = "NFKC"
    """`NFKC` also unfolds ligatures and wide forms; `NFC` keeps them."""
    strip_punctuation: bool = True
    """Removes punctuation but for apostrophes inside words; letters with diacritics stay."""
