"""A Grafana that refuses, breaks or is silent: one class each, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fakes.grafana.server import TOKEN, VIEWERS_TOKEN, Grafana, grafana_server
from voxmill.exporting.grafana import errors
from voxmill.exporting.grafana.errors import GrafanaError, GrafanaSilent, class_for
from voxmill.exporting.grafana.server import Server
from voxmill.exporting.grafana.settings import GrafanaSettings

SAVED = {"uid": "u", "title": "T"}


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with grafana_server() as server:
        yield server


@pytest.fixture
def settings(grafana: Grafana) -> GrafanaSettings:
    return GrafanaSettings.read({"GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": TOKEN})


STATUSES = {
    400: (errors.GrafanaBadInput, 64, "provisioned by file can only be changed there"),
    401: (errors.GrafanaUnauthorized, 64, "make a service account"),
    403: (errors.GrafanaForbidden, 64, "the larger role"),
    404: (errors.GrafanaNotFound, 64, "Check GRAFANA_URL"),
    409: (errors.GrafanaConflict, 64, "Rename or delete the other one"),
    412: (errors.GrafanaChanged, 64, "Nothing was overwritten"),
    422: (errors.GrafanaRefused, 64, "server's log"),
    500: (errors.GrafanaBroken, 69, "server's log"),
    503: (errors.GrafanaBroken, 69, "server's log"),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [{"message": "its own words"}, "<html>its own words</html>"])
def test_each_refusal_has_a_class_of_its_own_with_the_remedy(
    grafana: Grafana, settings: GrafanaSettings, status: int, body: object
) -> None:
    """What was asked, the server's own words, what to do; in JSON or as a page of a proxy."""
    expected, code, remedy = STATUSES[status]
    grafana.misbehave("POST", "/api/dashboards/db", status, body)
    with pytest.raises(expected) as refused:
        Server(settings).save_dashboard(SAVED, folder="f", message="m", overwrite=False)
    assert type(refused.value) is expected
    assert refused.value.exit_code == code
    for words in ("saving dashboard T", "its own words", remedy, grafana.url, str(status)):
        assert words in str(refused.value)
    assert TOKEN not in str(refused.value)


def test_every_class_can_come_up() -> None:
    """None is forgotten in the table of statuses, none stands there for nothing."""
    classes = {each for each in vars(errors).values() if isinstance(each, type)}
    leaves = {each for each in classes if issubclass(each, GrafanaError)} - {GrafanaError}
    assert {expected for expected, _, _ in STATUSES.values()} | {GrafanaSilent} == leaves
    assert {class_for(status) for status in STATUSES} == leaves - {GrafanaSilent}


def test_a_viewers_token_may_look_and_not_touch(settings: GrafanaSettings) -> None:
    """The recorded 403."""
    viewer = Server(replace(settings, token=VIEWERS_TOKEN))
    assert viewer.dashboards() == []
    with pytest.raises(errors.GrafanaForbidden, match="Permission denied"):
        viewer.make_folder("f", "F")


@pytest.mark.parametrize("answer", ["<html>Log in</html>", "", [1], "plain words"])
def test_an_answer_that_is_none_of_grafanas_is_broken(
    grafana: Grafana, settings: GrafanaSettings, answer: object
) -> None:
    """A login page with status 200, nothing at all, another server's JSON."""
    grafana.misbehave("GET", "/api/dashboards/uid/u", 200, answer)
    with pytest.raises(errors.GrafanaBroken, match="leads to Grafana and not to a page before it"):
        Server(settings).dashboard("u")


def test_another_servers_404_is_not_a_missing_dashboard(
    grafana: Grafana, settings: GrafanaSettings
) -> None:
    """A push to a wrong path would otherwise begin to make things."""
    grafana.misbehave("GET", "/api/dashboards/uid/u", 404, "<html>nginx</html>")
    with pytest.raises(errors.GrafanaNotFound, match="its path included"):
        Server(settings).dashboard("u")


def test_nobody_at_the_port_is_silence() -> None:
    """Refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = GrafanaSettings.read({"GRAFANA_URL": url, "GRAFANA_TOKEN": TOKEN})
    with pytest.raises(GrafanaSilent, match="Is it running") as silent:
        Server(settings).version()
    assert silent.value.exit_code == 69
    assert TOKEN not in str(silent.value)


def test_a_server_that_takes_the_call_and_says_nothing_is_silence() -> None:
    """After the time that was given, not for ever."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        settings = GrafanaSettings.read({"GRAFANA_URL": url, "GRAFANA_TOKEN": TOKEN})
        with pytest.raises(GrafanaSilent, match="no answer"):
            Server(settings, timeout_seconds=0.3).version()


def test_an_unknown_host_is_silence() -> None:
    """`.invalid` never exists (RFC 2606)."""
    environment = {"GRAFANA_URL": "http://grafana.invalid", "GRAFANA_TOKEN": TOKEN}
    with pytest.raises(GrafanaSilent):
        Server(GrafanaSettings.read(environment)).version()


def test_many_dashboards_come_page_by_page(
    grafana: Grafana, settings: GrafanaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is lost between two pages, none comes twice, a full last page ends it too."""
    monkeypatch.setattr("voxmill.exporting.grafana.server._PAGE", 3)
    for number in range(6):
        server = Server(settings)
        server.save_dashboard(
            {"uid": f"u{number}", "title": "T"}, folder="f", message="", overwrite=False
        )
    assert [each["uid"] for each in Server(settings).dashboards()] == [f"u{n}" for n in range(6)]


def test_a_path_before_the_api_is_kept(grafana: Grafana) -> None:
    """Grafana often lives below /grafana of another server."""
    settings = GrafanaSettings.read(
        {"GRAFANA_URL": f"{grafana.url}/grafana/", "GRAFANA_TOKEN": TOKEN}
    )
    with pytest.raises(GrafanaError):
        Server(settings).version()
    assert grafana.requests[-1] == ("GET", "/grafana/api/health")


def test_the_http_of_all_others_is_left_alone() -> None:
    """grafana-client brings a package whose wheel overwrites urllib3; here it must not."""
    code = "import grafana_client, urllib3; print(urllib3.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == importlib.metadata.version("urllib3")
