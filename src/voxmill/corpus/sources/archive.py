"""Archives from elsewhere: downloaded once, trusted by hash only, unpacked without surprises."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from voxmill.errors import DataError, VoxmillError

_SCHEMES = ("https", "http", "file")
_CHUNK_BYTES = 2**20
_TIMEOUT_SECONDS = 60


class UnreachableArchiveError(VoxmillError):
    """Server or network do not answer; another try may succeed, so Airflow may use its retries.

    Attributes:
        url: The address.
    """

    def __init__(self, url: str, cause: Exception) -> None:
        self.url = url
        super().__init__(
            f"Archive {url} cannot be read: {cause}. Check the network and `source.url`; the next "
            "try downloads it from the beginning."
        )


def fetch(url: str, sha256: str, folder: Path) -> Path:
    """The archive as a file; a download with the right hash is used again.

    Args:
        url: Where it lies.
        sha256: What it must hash to.
        folder: Where the download is kept.

    Raises:
        DataError: There is nothing at the address, or what came is something else.
        UnreachableArchiveError: Server or network do not answer.
    """
    if urlsplit(url).scheme not in _SCHEMES:
        raise DataError(f"Archive {url}: expected an address of {', '.join(_SCHEMES)}.")
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"archive-{sha256[:16]}"
    if archive.is_file() and _sha256(archive) == sha256:
        return archive
    partial = archive.with_suffix(".partial")
    found = _download(url, partial)
    if found != sha256:
        size = partial.stat().st_size
        partial.unlink()
        raise DataError(
            f"Archive {url}: expected sha256 {sha256}, found {found} over {size} bytes. "
            "Correct `source.sha256` if the corpus was published anew; else the copy is damaged."
        )
    partial.replace(archive)
    return archive


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a tar archive into a fresh folder; members may not leave it.

    Raises:
        DataError: It is no tar archive, or a member points outside or is no file or folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        shutil.rmtree(folder)
        raise DataError(
            f"Archive {archive} cannot be unpacked: {error}. Expected a .tar or .tar.gz whose "
            "members stay inside; take another archive."
        ) from error


def _download(url: str, target: Path) -> str:
    """Writes the content and returns its SHA-256."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in _chunks(url):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _chunks(url: str) -> Iterator[bytes]:
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - scheme is checked
            while chunk := response.read(_CHUNK_BYTES):
                yield chunk
    except HTTPError as error:
        if 400 <= error.code < 500:
            raise DataError(
                f"Archive {url}: the server has none there ({error}). Correct `source.url`."
            ) from error
        raise UnreachableArchiveError(url, error) from error
    except (OSError, HTTPException) as error:
        raise UnreachableArchiveError(url, error) from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
