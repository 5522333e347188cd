"""What the components of a server read from their environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from voxmill.errors import UsageError
from voxmill.observability.logs import log_mode
from voxmill.orchestration import airflow_home
from voxmill.orchestration.server_keys import LOGINS_FILE, Keys

HOST = "127.0.0.1"
"""Loopback alone: SimpleAuthManager keeps its passwords as they are."""
ROLES = ("viewer", "user", "op", "admin")
ADMIN = "admin"

DATABASE_VARIABLE = "VOXMILL_AIRFLOW_DB"
STATSD_VARIABLE = "VOXMILL_STATSD"
USERS_VARIABLE = "VOXMILL_AIRFLOW_USERS"
_POSTGRES = "postgresql+psycopg://"
"""psycopg 3 has both interfaces that Airflow asks for, plain and asyncio: one driver, not two."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What a person may choose about the server."""

    home: Path
    """Configuration, database, logs, logins; apart from the demo's."""
    project: Path
    """The checkout with `dags/` and `pipeline.json`."""
    port: int
    users: Mapping[str, str]
    """Roles by name of login."""
    database: str = ""
    """URL of a PostgreSQL database; empty for SQLite in the home."""
    json_logs: bool = False
    statsd: str = ""
    """`host:port` that Airflow's metrics go to; empty for nowhere."""

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://{HOST}:{self.port}"


def read_options(
    home: Path, project: Path, *, port: int, users: str, environ: Mapping[str, str]
) -> ServerOptions:
    """The options with what the environment says about the rest.

    Args:
        home: Folder of the server.
        project: The checkout.
        port: Where it is to listen.
        users: Further logins, such as `olga:op,vera:viewer`.
        environ: The environment; `VOXMILL_AIRFLOW_DB`, `VOXMILL_LOG` and `VOXMILL_STATSD` are read.

    Raises:
        UsageError: A role, the database's URL, the log's form or StatsD's address is wrong.
    """
    return ServerOptions(
        home=home,
        project=project,
        port=port,
        users={ADMIN: ADMIN, **_users(users)},
        database=_database(environ.get(DATABASE_VARIABLE, "")),
        json_logs=log_mode(environ) == "json",
        statsd=_statsd(environ.get(STATSD_VARIABLE, "")),
    )


def environment(options: ServerOptions, keys: Keys, outer: Mapping[str, str]) -> dict[str, str]:
    """The environment of every component.

    What stands in `outer` as `AIRFLOW__SECTION__KEY` wins over what is only sensible, and loses
    against what makes this server this server.

    Args:
        options: The server's.
        keys: The server's.
        outer: The environment of the command.
    """
    kept = {name: value for name, value in outer.items() if name != "AIRFLOW_CONFIG"}
    direct = ",".join(filter(None, (outer.get("NO_PROXY", ""), HOST, "localhost")))
    return {
        **airflow_home.settings(options.home, project=options.project),
        **_sensible(os.cpu_count() or 1),
        **kept,
        **_fixed(options, keys),
        # A task talks to the server by HTTP: a proxy has no way to this machine's own ports.
        "NO_PROXY": direct,
        "no_proxy": direct,
    }


def _sensible(cores: int) -> dict[str, str]:
    return {
        # A task that waits for its job costs memory and no core; a worker is forked for each slot.
        "AIRFLOW__CORE__PARALLELISM": str(max(4, min(16, 2 * cores))),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # A scheduler that was killed is known to be dead after 30 s; its tasks come back then, and
        # not five minutes later.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        # A task's end is often seen at the next heartbeat only, 5 s apart by default: every task
        # takes that longer, and an answer that a person gives sooner costs the task a try.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "",
        "AIRFLOW__API__INSTANCE_NAME": "voxmill",
    }


def _fixed(options: ServerOptions, keys: Keys) -> dict[str, str]:
    identity = airflow_home.settings(options.home, project=options.project)
    statsd = _told_metrics(options.statsd) if options.statsd else {}
    database = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": options.database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": options.database,
    }
    return {
        **{name: identity[name] for name in airflow_home.IDENTITY},
        **(database if options.database else {}),
        **statsd,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(options.port),
        "AIRFLOW__API__BASE_URL": options.url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{options.url}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet,
        "AIRFLOW__API__SECRET_KEY": keys.session,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.token,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in options.users.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(options.home / LOGINS_FILE),
        "AIRFLOW__LOGGING__JSON_LOGS": str(options.json_logs),
        "VOXMILL_PROJECT": str(options.project),
    }


def _users(text: str) -> dict[str, str]:
    pairs = [entry.strip().partition(":") for entry in text.split(",") if entry.strip()]
    for name, _, role in pairs:
        if not name or role not in ROLES or (name == ADMIN and role != ADMIN):
            raise UsageError(
                f"Login {name}:{role}: expected NAME:ROLE with a role of {', '.join(ROLES)}, such "
                f"as olga:op; {ADMIN!r} is there already. Correct --user or {USERS_VARIABLE}."
            )
    return {name: role for name, _, role in pairs}


def _database(url: str) -> str:
    """The URL with the driver that is installed; empty for SQLite."""
    if not url:
        return ""
    scheme, colon, rest = url.partition("://")
    if scheme.partition("+")[0] not in {"postgresql", "postgres"} or not colon:
        raise UsageError(
            f"{DATABASE_VARIABLE}={_without_password(url)}: only PostgreSQL is offered beside "
            f"SQLite (unset it for that). Expected postgresql://LOGIN@HOST:PORT/DATABASE, "
            f"where the login is user:password."
        )
    return _POSTGRES + rest


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":…@") if password else url


def _statsd(address: str) -> str:
    host, _, port = address.rpartition(":")
    if address and not (host and port.isdigit()):
        raise UsageError(
            f"{STATSD_VARIABLE}={address}: expected host:port, such as localhost:9125."
        )
    return address


def _told_metrics(address: str) -> dict[str, str]:
    from voxmill.exporting.airflow_bridge import airflow_settings

    host, _, port = address.rpartition(":")
    return airflow_settings(int(port), host)
