"""A PostgreSQL of one's own for tests: real, on loopback, gone afterwards.

with running_postgres(folder) as postgres:
    environ["VOXMILL_AIRFLOW_DB"] = postgres.url("airflow")
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from toys.airflow_server import free_port

USER = "voxmill"
PASSWORD = secrets.token_hex(8)
_DEBIAN = "/usr/lib/postgresql"


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    programs: Path
    port: int
    account: str

    def url(self, database: str) -> str:
        """A fresh, empty database's URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, database)
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        run(self.account, [str(self.programs / program), *arguments])


def programs() -> Path:
    """The newest server's programs; a missing one is a failure in CI and a skip elsewhere."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path(_DEBIAN).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        message = f"no PostgreSQL server in {_DEBIAN} or on PATH: install the package postgresql"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return versions[-1].parent


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server with its data in a new folder, which must be short enough for a socket's name.

    PostgreSQL refuses to run as root, so root's tests lend the folder to the account `postgres`.
    """
    found, port = programs(), free_port()
    account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        shutil.chown(folder, account)
        for parent in folder.parents:  # pytest makes its folders for their owner alone
            if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    data = folder / "data"
    run(
        account,
        [
            *(str(found / "initdb"), "--auth-host=scram-sha-256", "--auth-local=trust"),
            *("--no-sync", "-U", USER, "--pwfile", str(password), "-D", str(data)),
        ],
    )
    log = folder / "postgres.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            as_account(
                account,
                [
                    *(str(found / "postgres"), "-D", str(data), "-p", str(port)),
                    *("-h", "127.0.0.1", "-k", "", "-c", "fsync=off"),
                ],
            ),
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    try:
        _wait_until_ready(found, port, log)
        yield Postgres(found, port, account)
    finally:
        process.send_signal(signal.SIGINT)  # the fast shutdown: sessions are ended
        process.wait(30)


def run(account: str, command: Sequence[str]) -> None:
    """Runs a command as that account."""
    done = subprocess.run(
        as_account(account, command),
        env={**os.environ, "PGPASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr + done.stdout


def as_account(account: str, command: Sequence[str]) -> list[str]:
    """The command, run by that account where it is not our own."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups", *command]


def _wait_until_ready(found: Path, port: int, log: Path) -> None:
    from toys.airflow_server import wait

    def accepts() -> bool | None:
        asked = [str(found / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        return True if subprocess.run(asked, check=False).returncode == 0 else None

    wait(accepts, 30, f"PostgreSQL: {log.read_text()}", pause=0.1)
