"""The section `base`: pretrained weights, and a checkpoint to start from.

It is a parameter of ingest alone, see docs/decisions/0010-the-base-model-is-a-section.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from voxmill.base_reference import CHECKPOINT_SUFFIXES, FileReference, is_hub_id, parse_origin
from voxmill.section import Conflict, Section


class BaseConfig(Section):
    """What training begins with instead of random weights; `{}`: nothing."""

    model: str | None = Field(default=None, min_length=1, examples=["openai/whisper-tiny.en"])
    """Pretrained model: a hub id `owner/name`, or a folder (relative ones start at the project, or
    at VOXMILL_DATA; one that looks like a hub id is written `./owner/name`)."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of a hub id, all 40 digits; a branch or tag could move."""
    init_from: str | None = Field(
        default=None, min_length=1, examples=["digits@v0.1.0", "run:digits/first", "old/best.pt"]
    )
    """Checkpoint whose weights training starts from, with a fresh optimizer: a release
    `recipe@vX.Y.Z`, a run `run:recipe/id`, or a foreign .pt, .pth, .ckpt, .bin or .safetensors."""
    init_tokenizer: str | None = Field(default=None, min_length=1, examples=["old/tokenizer.json"])
    """The tokenizer.json that a foreign checkpoint was trained with; releases and runs bring
    theirs along."""

    def conflicts(self) -> Iterator[Conflict]:
        """A hub id is pinned, a folder is not; a foreign tokenizer comes with its checkpoint."""
        yield from self._revision()
        yield from self._origin()

    def _revision(self) -> Iterator[Conflict]:
        others = ("model",)
        if self.model is None and self.revision is not None:
            yield Conflict("revision", self.revision, "only with a hub id as model", others=others)
        elif self.model is not None and is_hub_id(self.model) and self.revision is None:
            allowed = (
                f"the 40-digit commit of {self.model} on the hub (Files and versions, History); a "
                f"folder of that name is written ./{self.model}"
            )
            yield Conflict("revision", "nothing", allowed, others=others)
        elif self.model is not None and not is_hub_id(self.model) and self.revision is not None:
            allowed = f"nothing: {self.model} is a folder, of which the files' hashes are kept"
            yield Conflict("revision", self.revision, allowed, others=others)

    def _origin(self) -> Iterator[Conflict]:
        origin = None if self.init_from is None else parse_origin(self.init_from)
        if self.init_from is not None and origin is None:
            allowed = (
                "a release (recipe@v1.2.3), a run (run:recipe/id), or a file ending in "
                f"{', '.join(CHECKPOINT_SUFFIXES)}"
            )
            yield Conflict("init_from", self.init_from, allowed)
        if self.init_tokenizer is None:
            return
        if self.init_from is None or (origin and not isinstance(origin, FileReference)):
            allowed = (
                "only with a foreign checkpoint as init_from: releases and runs have their own"
            )
            yield Conflict("init_tokenizer", self.init_tokenizer, allowed, others=("init_from",))
        elif not self.init_tokenizer.endswith(".json"):
            allowed = "a tokenizer.json as the library tokenizers (Hugging Face) writes it"
            yield Conflict("init_tokenizer", self.init_tokenizer, allowed)
