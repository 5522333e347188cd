"""Where Airflow is and who asks: from options, the environment, or this machine's own server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxmill.errors import EngineMissing, UsageError
from voxmill.orchestration.airflow_api import AirflowApi
from voxmill.orchestration.server_keys import LOGINS_FILE
from voxmill.orchestration.server_record import read_record
from voxmill.orchestration.server_settings import ADMIN, HOST

SERVER_FOLDER = "airflow-server"
"""Below VOXMILL_HOME; the demo's Airflow has a home of its own."""
DEFAULT_PORT = 8080
URL_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE = (
    f"VOXMILL_AIRFLOW_{what}" for what in ("URL", "USER", "PASSWORD")
)


@dataclass(frozen=True, kw_only=True)
class Login:
    """An Airflow and who asks it."""

    url: str
    user: str
    password: str = field(repr=False)
    own: bool
    """Whether it is the server of this machine and this VOXMILL_HOME."""

    def api(self) -> AirflowApi:
        """The Airflow to call; nothing has been asked of it yet."""
        return AirflowApi(self.url, self.user, self.password)


def connect(
    home: Path, *, url: str | None = None, environ: Mapping[str, str] = os.environ
) -> Login:
    """Where Airflow is, and the login there.

    Args:
        home: Folder of this machine's server, which knows its own URL and passwords.
        url: Another one's; by default `VOXMILL_AIRFLOW_URL`, then what the server's home says.
        environ: The environment; `VOXMILL_AIRFLOW_URL`, `_USER` and `_PASSWORD` are read.

    Raises:
        UsageError: The URL is none, or nobody says the password.
        EngineMissing: No server has ever been started here, and no other one is named.
    """
    record = read_record(home)
    address = (url or environ.get(URL_VARIABLE) or (record.url if record else "")).rstrip("/")
    if not address:
        raise EngineMissing(
            f"No Airflow has been started in {home}. Start it with `make airflow`, or say where "
            f"one is: --url or {URL_VARIABLE}."
        )
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{address}: expected a URL such as http://{HOST}:{DEFAULT_PORT}.")
    own = record is not None and address == record.url
    user = environ.get(USER_VARIABLE) or ADMIN
    password = environ.get(PASSWORD_VARIABLE) or (_kept_password(home, user) if own else None)
    if password is None:
        raise UsageError(
            f"No password for user {user!r} at {address}: set {PASSWORD_VARIABLE} (and "
            f"{USER_VARIABLE})."
        )
    return Login(url=address, user=user, password=password, own=own)


def _kept_password(home: Path, user: str) -> str | None:
    try:
        found: dict[str, str] = json.loads((home / LOGINS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found.get(user)
