"""Pretrained models from the Hugging Face hub: one pinned commit, every file held to its hash.

Stages carry no login, so what the hub hands to nobody in particular is all there is.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxmill.errors import DataError, UsageError, VoxmillError
from voxmill.stages.ingestion.pretrained_files import SMALL_FILES, chosen_files

logger = logging.getLogger(__name__)

_SHA256_DIGITS = 64
_LIBRARIES = ("huggingface_hub", "httpx2", "httpx", "hf_xet")


class HubUnreachable(VoxmillError):
    """The hub does not answer; another try may succeed, so Airflow may use its retries."""


class HubRefused(UsageError):
    """The hub hands the model to people with a login only: gated, private, or disabled."""


class NotOnHub(UsageError):
    """The hub has no such model, or the model no such commit."""


class Hub(Protocol):
    """Where hub ids lead."""

    def fetch(self, model: str, revision: str) -> tuple[Path, tuple[str, ...]]:
        """A folder with the model's files, and the names of those that make a base model.

        Raises:
            HubUnreachable: It does not answer, and the cache has not all of the model.
            HubRefused: It does not hand the model out.
            NotOnHub: There is no such model or commit.
            DataError: A file is not what the hub says it is, or there are no safetensors.
        """


@dataclass(frozen=True)
class HuggingFaceHub:
    """The hub that HF_ENDPOINT names, by default huggingface.co.

    What was downloaded once is kept in the library's cache, and taken from there when the hub does
    not answer.
    """

    endpoint: str | None = None
    """Address; None: as the library has it."""
    cache: Path | None = None
    """Folder; None: as the library has it (HF_HUB_CACHE)."""

    def fetch(self, model: str, revision: str) -> tuple[Path, tuple[str, ...]]:
        """Downloads one commit of a model; see the port."""
        with _translated(model, revision):
            # The small files come first: they say which of the large ones are wanted.
            folder = self._download(model, revision, SMALL_FILES)
            listed = self._names(model, revision)
            names = chosen_files(listed, folder, what=f"Base model {model}")
            self._download(model, revision, names)
            for name in names:
                self._check(folder / name, model, revision)
        logger.info("Base model %s at %s: %d files", model, revision[:10], len(names))
        return folder, names

    def _download(self, model: str, revision: str, names: tuple[str, ...]) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        folder = snapshot_download(
            model,
            revision=revision,
            allow_patterns=list(names),
            endpoint=self.endpoint,
            cache_dir=self.cache,
        )
        return Path(folder)

    def _names(self, model: str, revision: str) -> list[str]:
        """The files at the top of the model."""
        from huggingface_hub import get_cached_repo_tree

        files = get_cached_repo_tree(model, revision=revision, cache_dir=self.cache)
        return [file.path for file in files if "/" not in file.path]

    def _check(self, file: Path, model: str, revision: str) -> None:
        """A copy in the cache that was damaged is downloaded anew, once."""
        from huggingface_hub import hf_hub_download

        if _is_whole(file):
            return
        logger.warning("Base model %s: %s is damaged; downloading it anew", model, file.name)
        again = hf_hub_download(
            model,
            file.name,
            revision=revision,
            force_download=True,
            endpoint=self.endpoint,
            cache_dir=self.cache,
        )
        if not _is_whole(Path(again)):
            raise DataError(
                f"Base model {model}: the hub gives {file.name} the hash {file.resolve().name}, "
                "and what was sent, twice, has another one. A proxy or mirror in between may be "
                "wrong: look at HF_ENDPOINT and HTTPS_PROXY, and start again."
            )


def _is_whole(file: Path) -> bool:
    """Whether a file of the cache has the hash that the hub gave it.

    The cache names what it holds by that hash: SHA-256 for large files, git's own for small ones.
    """
    content = file.resolve()
    if len(content.name) == _SHA256_DIGITS:
        with content.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == content.name
    header = f"blob {content.stat().st_size}\0".encode()
    found = hashlib.sha1(header + content.read_bytes(), usedforsecurity=False)
    return found.hexdigest() == content.name


@contextmanager
def _translated(model: str, revision: str) -> Iterator[None]:
    try:
        yield
    except VoxmillError:
        raise
    except Exception as error:
        failure = _failure(list(_causes(error)), model, revision)
        if failure is None:  # the disk, or a bug
            raise
        raise failure from error


def _failure(chain: list[BaseException], model: str, revision: str) -> VoxmillError | None:
    """The error of voxmill for an exception and its causes; None where no hub is behind it."""
    from huggingface_hub import errors

    if not any(map(_is_of_the_hub, chain)):
        return None
    status = next((code for code in map(_status, chain) if code), 0)
    if any(isinstance(one, errors.RevisionNotFoundError) for one in chain):
        return NotOnHub(
            f"Base model {model} has no commit {revision} on the hub. Correct base.revision: the "
            "model's page lists its commits under Files and versions, History."
        )
    if status == 404 or any(isinstance(one, errors.HFValidationError) for one in chain):
        return NotOnHub(
            f"Base model {model}: the hub has no such model. Correct base.model; a folder of that "
            f"name is written ./{model}."
        )
    if status in (401, 403) or any(isinstance(one, errors.GatedRepoError) for one in chain):
        return HubRefused(
            f"Base model {model}: the hub does not hand it out without a login ({status}): it is "
            "gated or private, or the name is wrong. Stages have no login. Accept its terms, "
            f"download it yourself (`hf download {model} --revision {revision} --local-dir DIR`), "
            "and name that folder in base.model, without base.revision."
        )
    return HubUnreachable(
        f"Base model {model}: the hub does not answer ({_told(chain)}), and the cache has not all "
        "of it. Check the network and HF_ENDPOINT, and that HF_HUB_OFFLINE is not set; start "
        "again then. On a machine without a hub, name a folder in base.model."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_of_the_hub(error: BaseException) -> bool:
    """Whether it comes from the library, from its HTTP, or is what the library says so briefly."""
    library = type(error).__module__.partition(".")[0]
    brief = type(error) is OSError and error.errno is None  # "Consistency check failed"
    return library in _LIBRARIES or brief or isinstance(error, ConnectionError | TimeoutError)


def _status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    return int(getattr(response, "status_code", 0) or 0)


def _told(chain: list[BaseException]) -> str:
    """The deepest cause: the library's own message is a page of advice on its options."""
    last = chain[-1]
    return (str(last).strip().partition("\n")[0] or type(last).__name__)[:200]
