"""Secrets of a server's home: made once, kept, readable by their owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from voxmill.errors import UsageError

KEYS_FILE = "keys.json"
LOGINS_FILE = "passwords.json"
_FERNET_BYTES = 32  # Fernet takes no other length
_SIGNING_BYTES = 64  # as long as the SHA-512 that signs (RFC 7518, section 3.2)
_PASSWORD_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What Airflow signs and encrypts with. A server with new ones refuses every earlier token."""

    fernet: str
    """Encrypts connections and variables in the database."""
    token: str
    """Signs the tokens of people and of tasks; the same in each component."""
    session: str
    """Signs what browsers keep."""


def keep_keys(home: Path) -> Keys:
    """The home's keys; made where there are none.

    Raises:
        UsageError: The file is no keys file.
    """
    path = home / KEYS_FILE
    if not path.exists():
        made = Keys(
            fernet=_key(_FERNET_BYTES), token=_key(_SIGNING_BYTES), session=_key(_SIGNING_BYTES)
        )
        _write_private(path, json.dumps(asdict(made), indent=1) + "\n")
    return Keys(**_read(path))


def keep_passwords(home: Path, users: Iterable[str]) -> dict[str, str]:
    """Every login's password, as Airflow reads them; made for those who have none yet.

    A person may write another one into the file; it holds from the next start.

    Raises:
        UsageError: The file is no passwords file.
    """
    path = home / LOGINS_FILE
    kept = _read(path) if path.exists() else {}
    made = {user: secrets.token_urlsafe(_PASSWORD_BYTES) for user in users if user not in kept}
    if made:
        _write_private(path, json.dumps({**kept, **made}, indent=1) + "\n")
    return {**kept, **made}


def _key(count: int) -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(count)).decode()


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return {str(name): str(value) for name, value in found.items()}
    except (ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} cannot be read as JSON: {error}. Correct it, or remove it to get new ones."
        ) from error


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
