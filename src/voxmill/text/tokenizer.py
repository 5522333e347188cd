"""Vocabularies of characters, BPE pieces or whole words, as folders that transformers reads too.

Id 0 is `<pad>`, which is also CTC's blank; id 1 is `<unk>`. A space is written as `▁`, so that
every token is visible. Reading a folder needs only `tokenizers`, no torch and no transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from voxmill.errors import DataError

BLANK = "<pad>"
UNKNOWN = "<unk>"
BLANK_ID = 0
UNKNOWN_ID = 1
SPACE = "▁"
_FILE = "tokenizer.json"


class TextTokenizer:
    """Turns text into token ids and back."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> TextTokenizer:
        """Reads a tokenizer folder.

        Raises:
            DataError: The folder holds no `tokenizer.json` that can be read.
        """
        file = folder / _FILE
        if not file.is_file():
            raise DataError(
                f"Tokenizer {folder}: expected a file {_FILE}, found none. Run prepare."
            )
        try:
            return cls(Tokenizer.from_file(str(file)))
        except Exception as error:
            # tokenizers raises bare Exception for whatever is wrong with a file
            raise DataError(f"Tokenizer {file} cannot be read: {error}. Run prepare.") from error

    @property
    def size(self) -> int:
        """Number of tokens, blank and unknown included."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token, by id."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return tuple(sorted(vocabulary, key=vocabulary.__getitem__))

    @cached_property
    def unknown(self) -> str | None:
        """The token for whatever has none; None where such characters are dropped."""
        model: dict[str, Any] = json.loads(self._tokenizer.to_str())["model"]
        number = model.get("unk_id")
        return str(self.tokens[number]) if isinstance(number, int) else model.get("unk_token")

    def known(self, text: str) -> list[bool]:
        """Whether a token stands for it, for each character of a text."""
        if self.unknown is None:  # what is dropped shifts the places of all that follows
            return [bool(self.encode(sign)) for sign in text]
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        known = [False] * len(text)
        for token, (begin, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            if token != self.unknown:
                known[begin:end] = [True] * (end - begin)
        return known

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, without blanks."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids in which repeats are already collapsed; blanks are left out."""
        kept = [int(token) for token in ids if token != BLANK_ID]
        return str(self._tokenizer.decode(kept, skip_special_tokens=False))


def train_characters(texts: Iterable[str]) -> TextTokenizer:
    """A tokenizer with one token for each character that the texts have, and one for the space.

    The space is there even where each text is a single word: training may string utterances
    together.

    Raises:
        DataError: The texts hold no character at all.
    """
    characters = {c for text in texts for c in text} - {" "}
    if not characters:
        raise DataError("Tokenizer: the training transcripts hold no character. Check the source.")
    tokens = [BLANK, UNKNOWN, *sorted({SPACE, *characters})]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    # BPE without merges: each character stays a token of its own, and `encode` knows `<unk>`.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    return _finished(tokenizer, prepend="never")


def train_bpe(texts: Sequence[str], size: int) -> TextTokenizer:
    """A byte-pair vocabulary of exactly `size` tokens, blank and unknown included.

    Raises:
        DataError: The texts cannot fill that many tokens, or have more characters than that.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[BLANK, UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found < size:
        raise DataError(
            f"Tokenizer: a BPE vocabulary of {size} tokens was asked, the training transcripts "
            f"give at most {found}. Set model.vocabulary.size to {found} or less."
        )
    if found > size:
        raise DataError(
            f"Tokenizer: a BPE vocabulary of {size} tokens was asked, the characters of the "
            f"training transcripts alone need {found}. "
            f"Set model.vocabulary.size to {found} or more."
        )
    return _finished(tokenizer, prepend="always")


def train_words(texts: Iterable[str]) -> TextTokenizer:
    """A tokenizer with one token for each word that the texts have, for commands and digits.

    A word that the texts lack can neither be labelled nor recognised.

    Raises:
        DataError: The texts hold no word at all.
    """
    words = sorted({word for text in texts for word in text.split()})
    if not words:
        raise DataError("Tokenizer: the training transcripts hold no word. Check the source.")
    tokens = [BLANK, UNKNOWN, *(SPACE + word for word in words)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return _finished(
        Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNKNOWN)), prepend="always"
    )


def write_folder(tokenizer: TextTokenizer, folder: Path) -> None:
    """Writes a folder that `transformers.ParakeetTokenizer` loads (which collapses for CTC)."""
    from transformers import ParakeetTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    ParakeetTokenizer(
        tokenizer_object=tokenizer._tokenizer,  # noqa: SLF001 - our own class
        pad_token=tokenizer.tokens[BLANK_ID],
        unk_token=tokenizer.unknown,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(str(folder))


def round_trip_failures(tokenizer: TextTokenizer, texts: Iterable[str]) -> list[str]:
    """The texts that do not come back from their own token ids, in order.

    A text that fails can never be recognised right, whatever the model learns.
    """
    return [text for text in texts if tokenizer.decode(tokenizer.encode(text)) != text]


def unknown_share(tokenizer: TextTokenizer, texts: Iterable[str]) -> float:
    """Share of the texts' characters that the tokenizer does not know; 0 where there is no text."""
    characters = unknown = 0
    for text in texts:
        characters += len(text)
        unknown += sum(token == UNKNOWN_ID for token in tokenizer.encode(text))
    return unknown / characters if characters else 0.0


def _finished(tokenizer: Any, *, prepend: str) -> TextTokenizer:
    # BPE and words mark each word's start, so that a word is the same tokens wherever it stands;
    # characters mark only the space between words, so that CTC has no label to place before the
    # first sound.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=prepend)
    return TextTokenizer(tokenizer)
