"""What a Grafana server answers when it does not do what was asked, one class each.

GrafanaError
├── GrafanaBadInput        400  what was sent is not valid to it
├── GrafanaUnauthorized    401  token missing, wrong or expired
├── GrafanaForbidden       403  the token's role is too small
├── GrafanaNotFound        404  no such thing, or no such API in that version
├── GrafanaConflict        409  another thing has that name
├── GrafanaChanged         412  somebody saved in the meantime
├── GrafanaRefused         any other 4xx
├── GrafanaBroken          5xx, or an answer that is no JSON
└── GrafanaSilent          no answer at all
"""

from __future__ import annotations

from typing import ClassVar

from voxmill.errors import EngineMissing, UsageError, VoxmillError


class GrafanaError(VoxmillError):
    """A request that failed.

    Attributes:
        request: What was asked for, in words.
        said: The server's own words, or the connection's.
        answered: Whether Grafana itself said no, in JSON; not so for a page of another server.
    """

    exit_code = UsageError.exit_code
    what: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, *, server: str, request: str, said: str, answered: bool = False) -> None:
        self.request = request
        self.said = said
        self.answered = answered
        super().__init__(f"Grafana at {server}, {request}: {self.what} ({said}). {self.remedy}")


class GrafanaBadInput(GrafanaError):
    """400."""

    what = "it does not take what was sent"
    remedy = (
        "A dashboard or datasource that is provisioned by file can only be changed there; "
        "otherwise compare the server's version with the 11.6 that the dashboards are built for."
    )


class GrafanaUnauthorized(GrafanaError):
    """401."""

    what = "it does not know who asks"
    remedy = (
        "GRAFANA_TOKEN is missing, wrong or expired: make a service account with the role Admin "
        "(Administration, Users and access, Service accounts) and put its token there."
    )


class GrafanaForbidden(GrafanaError):
    """403."""

    what = "the token may not do that"
    remedy = (
        "Reading needs the role Viewer, dashboards Editor, datasources and contact points Admin: "
        "give the token's service account the larger role."
    )


class GrafanaNotFound(GrafanaError):
    """404."""

    what = "there is no such thing"
    remedy = "Check GRAFANA_URL, its path included; `voxmill grafana push` makes what is missing."


class GrafanaConflict(GrafanaError):
    """409."""

    what = "something else has that name"
    remedy = "Rename or delete the other one in Grafana, then push again."


class GrafanaChanged(GrafanaError):
    """412."""

    what = "somebody saved it in the meantime"
    remedy = (
        "Nothing was overwritten: look with `voxmill grafana diff`, then push again, with --force "
        "if the server's version may go."
    )


class GrafanaRefused(GrafanaError):
    """Any other 4xx."""

    what = "it refuses"
    remedy = "Look at the server's log."


class GrafanaBroken(GrafanaError):
    """5xx, or an answer that no Grafana gives."""

    exit_code = EngineMissing.exit_code
    what = "it cannot answer properly"
    remedy = (
        "Look at the server's log, and whether GRAFANA_URL leads to Grafana and not to a page "
        "before it; then do the same again: nothing is done twice."
    )


class GrafanaSilent(GrafanaError):
    """No answer."""

    exit_code = EngineMissing.exit_code
    what = "no answer"
    remedy = (
        "Is it running, is GRAFANA_URL right, does a proxy or firewall stand between? Then do the "
        "same again: nothing is done twice."
    )


_BY_STATUS: dict[int, type[GrafanaError]] = {
    400: GrafanaBadInput,
    401: GrafanaUnauthorized,
    403: GrafanaForbidden,
    404: GrafanaNotFound,
    409: GrafanaConflict,
    412: GrafanaChanged,
}


def class_for(status: int) -> type[GrafanaError]:
    """The class for an HTTP status of 400 and above."""
    return _BY_STATUS.get(status) or (GrafanaBroken if status >= 500 else GrafanaRefused)
