"""Where Grafana is and what its datasource and links point at, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from voxmill.errors import FieldProblem, UsageError


@dataclass(frozen=True, kw_only=True)
class GrafanaSettings:
    """One server, and addresses that depend on where things run."""

    url: str
    """Of the server, with its path and without credentials."""
    token: str = field(repr=False)
    """Of a service account; never shown."""
    prometheus_url: str
    """As the Grafana server reaches Prometheus."""
    alertmanager_url: str
    """As the Grafana server reaches Alertmanager."""
    addresses: Mapping[str, str]
    """Where links lead to, by dashboard variable; those that are not named keep their default."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> GrafanaSettings:
        """The settings of an environment.

        Raises:
            UsageError: GRAFANA_URL or GRAFANA_TOKEN is missing, or a URL is none.
        """
        missing = [name for name in ("GRAFANA_URL", "GRAFANA_TOKEN") if not environment.get(name)]
        if missing:
            raise UsageError(
                f"{' and '.join(missing)}: not set. Expected the server's address, such as "
                "http://localhost:3000, and the token of a service account with the role Admin."
            )
        token = environment["GRAFANA_TOKEN"].strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError(
                "GRAFANA_TOKEN: holds characters that no token has (a line break, a space?). "
                "Copy it again."
            )
        names = {"airflow": "VOXMILL_AIRFLOW_URL", "runbook": "VOXMILL_RUNBOOK_URL"}
        return cls(
            url=_checked("GRAFANA_URL", environment["GRAFANA_URL"]),
            token=token,
            prometheus_url=_read(environment, "VOXMILL_PROMETHEUS_URL", "http://localhost:9090"),
            alertmanager_url=_read(
                environment, "VOXMILL_ALERTMANAGER_URL", "http://localhost:9093"
            ),
            addresses={
                variable: _checked(name, environment[name])
                for variable, name in names.items()
                if environment.get(name)
            },
        )


def _read(environment: Mapping[str, str], name: str, default: str) -> str:
    return _checked(name, environment.get(name) or default)


def _checked(name: str, url: str) -> str:
    """A URL without credentials and without a slash at the end."""
    wrong = FieldProblem(
        name, "something else (not shown, it may hold a secret)", "http:// or https:// and a host"
    )
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise UsageError(str(wrong)) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(str(wrong))
    if parts.username or parts.password:
        raise UsageError(
            f"{name}: holds a user or password. Leave them out: GRAFANA_TOKEN says it."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{port}" if port else host
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
