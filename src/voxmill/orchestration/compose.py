"""What the services of docker-compose.yml need before they start: secrets, and the right folder."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from voxmill.errors import UsageError
from voxmill.launchers.same_path import check_same_path

SECRETS = Path("/run/secrets")
_S3_USER = "voxmill"


def make_secrets(folder: Path) -> list[str]:
    """Makes the secrets that are not there yet; those that are stay as they are.

    The folder is closed to others. The files are not: each service reads its own under a user id
    of its own, through a mount of that one file.

    Returns:
        Names of the new ones.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = [name for name, make in _MAKERS.items() if _make(folder / name, make)]
    key = json.loads((folder / "s3_config.json").read_text("utf-8"))
    login = key["identities"][0]["credentials"][0]
    text = f"[default]\naws_access_key_id = {login['accessKey']}\n"
    text += f"aws_secret_access_key = {login['secretKey']}\n"
    return made + ["s3_credentials"] * _make(folder / "s3_credentials", lambda: text)


def entered(environ: Mapping[str, str], folder: Path = SECRETS) -> dict[str, str]:
    """The environment of an Airflow component, with its secrets in it.

    Args:
        environ: The container's environment.
        folder: Where Compose mounts the secrets.

    Raises:
        UsageError: VOXMILL_HOME is not the host's folder at the host's path, or a secret is
            missing.
    """
    check_same_path(Path(environ.get("VOXMILL_HOME", "")))
    login = f"airflow:{quote(_read(folder, 'postgres_password'), safe='')}@postgres:5432/airflow"
    database = f"postgresql+psycopg://{login}"
    values = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
        "AIRFLOW__CORE__FERNET_KEY": _read(folder, "airflow_fernet_key"),
        "AIRFLOW__API__SECRET_KEY": _read(folder, "airflow_session_key"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _read(folder, "airflow_token_key"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_logins_file(environ)),
    }
    if environ.get("AIRFLOW__CORE__EXECUTOR") == "CeleryExecutor":
        password = quote(_read(folder, "redis_password"), safe="")
        values["AIRFLOW__CELERY__BROKER_URL"] = f"redis://:{password}@redis:6379/0"
        values["AIRFLOW__CELERY__RESULT_BACKEND"] = f"db+{database}"
    return {**environ, **values}


def place_logins(environ: Mapping[str, str], folder: Path = SECRETS) -> None:
    """Puts the logins where Airflow may write: it opens the file for writing only to read it.

    Passwords that Airflow has made for further logins stay; the secret's win.

    Args:
        environ: The container's environment.
        folder: Where Compose mounts the secrets.
    """
    file = _logins_file(environ)
    there = json.loads(file.read_text("utf-8") or "{}") if file.is_file() else {}
    wanted = there | json.loads(_read(folder, "airflow_logins.json"))
    if wanted != there:
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.half")
        half.touch(mode=0o600)
        half.write_text(json.dumps(wanted) + "\n", "utf-8")
        half.rename(file)


def _logins_file(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("AIRFLOW_HOME", "")) / "logins.json"


def _read(folder: Path, name: str) -> str:
    path = folder / name
    text = path.read_text("utf-8").strip() if path.is_file() else ""
    if not text:
        raise UsageError(
            f"Secret {path}: missing or empty. `make up` makes those that are not there."
        )
    return text


def _make(path: Path, make: Callable[[], str]) -> bool:
    if path.is_file() and path.stat().st_size:
        return False
    half = path.with_name(f".{path.name}.half")
    half.write_text(make(), "utf-8")
    half.chmod(0o644)
    half.rename(path)
    return True


def _random() -> str:
    """32 random bytes in the form that Fernet asks for."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _logins() -> str:
    return json.dumps({"admin": secrets.token_urlsafe(16)}) + "\n"


def _s3_config() -> str:
    key = {"accessKey": _S3_USER, "secretKey": secrets.token_urlsafe(32)}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": _S3_USER, "credentials": [key], "actions": actions}
    return json.dumps({"identities": [identity]}, indent=1) + "\n"


_MAKERS: dict[str, Callable[[], str]] = {
    "postgres_password": _random,
    "redis_password": _random,
    "airflow_fernet_key": _random,
    "airflow_session_key": _random,
    "airflow_token_key": _random,
    "airflow_logins.json": _logins,
    "grafana_password": _random,
    "s3_config.json": _s3_config,
}
