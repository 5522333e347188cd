"""Tokenizers that come with a checkpoint: taken over unchanged, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from toys.data_stages import tree
from voxmill.errors import DataError
from voxmill.families.ctc.config import CtcModelConfig
from voxmill.families.ctc.family import CtcFamily
from voxmill.text.imported_tokenizer import import_tokenizer, missing_characters
from voxmill.text.tokenizer import TextTokenizer, train_bpe, train_characters, write_folder

TEXTS = ["one two three", "seven eight nine zero", "ten"]


def bare(folder: Path, tokens: list[str], **options: object) -> Path:
    """A folder with nothing but a tokenizer.json of single characters, as others write it."""
    folder.mkdir()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], **options))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


LETTERS = sorted({sign for text in TEXTS for sign in text} - {" "})


@pytest.mark.parametrize("train", [train_characters, lambda texts: train_bpe(texts * 3, 40)])
def test_a_tokenizer_of_ours_is_copied_to_the_last_byte(tmp_path: Path, train) -> None:
    """Its token ids are those of the checkpoint's head."""
    write_folder(train(["any other zone of hives", *TEXTS]), tmp_path / "theirs")
    import_tokenizer(tmp_path / "theirs", TEXTS, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "theirs")


@pytest.mark.parametrize("blank", ["<pad>", "[PAD]", "<blank>"])
@pytest.mark.parametrize("unknown", ["<unk>", None])
def test_a_bare_tokenizer_json_becomes_a_folder_for_transformers(
    tmp_path: Path, blank: str, unknown: str | None
) -> None:
    """The tokens keep their numbers, and transformers knows which one the blank is."""
    tokens = [blank, "<s>", *([unknown] if unknown else []), "▁", *LETTERS]
    source = bare(tmp_path / "theirs", tokens, unk_token=unknown)
    import_tokenizer(source, TEXTS, tmp_path / "out")
    taken = TextTokenizer.from_folder(tmp_path / "out")
    assert taken.tokens == tuple(tokens)
    assert taken.decode(taken.encode(TEXTS[0])) == TEXTS[0]
    loaded = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    assert (loaded.pad_token_id, len(loaded)) == (0, len(tokens))
    assert loaded.decode([0, *taken.encode("ten"), 0]) == "ten"


@pytest.mark.parametrize("first", ["<unk>", "!", "<s>"])
def test_a_tokenizer_without_a_blank_in_front_is_refused(tmp_path: Path, first: str) -> None:
    """CTC's blank is label 0; a decoder's tokenizer has none."""
    source = bare(tmp_path / "theirs", [first, "▁", *LETTERS])
    with pytest.raises(DataError, match=r"token 0 is '.*'; expected CTC's blank"):
        import_tokenizer(source, TEXTS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("unknown", ["<unk>", None])
def test_characters_that_it_lacks_are_named(tmp_path: Path, unknown: str | None) -> None:
    """Whether it writes <unk> for them or drops them."""
    tokens = ["<pad>", *([unknown] if unknown else []), "▁", *LETTERS]
    source = bare(tmp_path / "theirs", tokens, unk_token=unknown)
    with pytest.raises(DataError, match=r"no token for 3 characters .*: 'ćčđ'\. .*prepare\.text"):
        import_tokenizer(source, [*TEXTS, "đteć one", "č"], tmp_path / "out")


def test_a_vocabulary_of_capitals_does_not_fit_small_letters(tmp_path: Path) -> None:
    """The remedy is to normalise as its texts were."""
    source = bare(tmp_path / "theirs", ["<pad>", "▁", *(sign.upper() for sign in LETTERS)])
    with pytest.raises(DataError, match="`case` above all"):
        import_tokenizer(source, TEXTS, tmp_path / "out")


def test_texts_that_do_not_come_back_are_refused(tmp_path: Path) -> None:
    """A model can never write a transcript right that its tokenizer cannot."""
    source = bare(tmp_path / "theirs", ["<pad>", "▁", *LETTERS])
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(source / "tokenizer.json"))
    words = "2 of 3 training transcripts do not come back .*'one▁two▁three'"
    with pytest.raises(DataError, match=words):
        import_tokenizer(source, TEXTS, tmp_path / "out")


@pytest.mark.parametrize("content", [None, "{", '{"version": "1.0"}'])
def test_what_is_no_tokenizer_is_a_data_error(tmp_path: Path, content: str | None) -> None:
    """Missing, cut off, or another JSON."""
    (tmp_path / "theirs").mkdir()
    if content is not None:
        (tmp_path / "theirs" / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        import_tokenizer(tmp_path / "theirs", TEXTS, tmp_path / "out")


def test_a_word_vocabulary_lacks_whole_words(tmp_path: Path) -> None:
    """Every sign of an unknown word is unknown."""
    tokenizer = TextTokenizer(Tokenizer(models.WordLevel({"<pad>": 0, "one": 1}, "<pad>")))
    assert missing_characters(tokenizer, ["one", "two"]) == "otw"


def test_the_family_ctc_takes_an_imported_tokenizer_instead_of_its_vocabulary(
    tmp_path: Path,
) -> None:
    """The recipe's `model.vocabulary` makes tokenizers from scratch only."""
    write_folder(train_characters([*TEXTS, "xyz"]), tmp_path / "theirs")
    family, model = CtcFamily(), CtcModelConfig()
    family.tokenizer(TEXTS, model, tmp_path / "out", imported=tmp_path / "theirs")
    assert "x" in TextTokenizer.from_folder(tmp_path / "out").tokens
