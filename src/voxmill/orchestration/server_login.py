"""Where Airflow is and who asks: from options, the environment, or this machine's own server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from voxmill.errors import UsageError
from voxmill.orchestration.airflow_api import AirflowApi
from voxmill.orchestration.server_keys import PASSWORDS_FILE
from voxmill.orchestration.server_record import read_record
from voxmill.orchestration.server_settings import ADMIN, HOST

SERVER_FOLDER = "airflow-server"
"""Below VOXMILL_HOME; the demo's Airflow has a home of its own."""
DEFAULT_PORT = 8080
URL_VARIABLE = "VOXMILL_AIRFLOW_URL"
USER_VARIABLE = "VOXMILL_AIRFLOW_USER"
PASSWORD_VARIABLE = "VOXMILL_AIRFLOW_PASSWORD"  # noqa: S105 -- the variable's name


def connect(
    home: Path, *, url: str | None = None, environ: Mapping[str, str] = os.environ
) -> AirflowApi:
    """An Airflow to call; nothing is asked of it yet.

    Args:
        home: Folder of this machine's server, which knows its own URL and passwords.
        url: Another one's; by default `VOXMILL_AIRFLOW_URL`, then what the server's home says.
        environ: The environment; `VOXMILL_AIRFLOW_URL`, `_USER` and `_PASSWORD` are read.

    Raises:
        UsageError: Nobody says the password.
    """
    record = read_record(home)
    own = record.url if record else f"http://{HOST}:{DEFAULT_PORT}"
    address = url or environ.get(URL_VARIABLE) or own
    user = environ.get(USER_VARIABLE) or ADMIN
    password = environ.get(PASSWORD_VARIABLE)
    if password is None:
        password = _kept_password(home, user) if address.rstrip("/") == own else None
    if password is None:
        raise UsageError(
            f"No password for user {user!r} at {address}: start Airflow on this machine with "
            f"`make airflow`, or set {PASSWORD_VARIABLE} (and {USER_VARIABLE})."
        )
    return AirflowApi(address, user, password)


def _kept_password(home: Path, user: str) -> str | None:
    try:
        found = json.loads((home / PASSWORDS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found.get(user)
