"""What a Grafana server must do for us: the recorded one, and that of GRAFANA_URL where it is set.

Everything on a real server happens in a folder, a datasource and a contact point of the test's
own, which are deleted afterwards.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.grafana.server import grafana_server
from voxmill.errors import UsageError
from voxmill.exporting.dashboards.catalogue import dashboard_texts
from voxmill.exporting.grafana.backup import back_up
from voxmill.exporting.grafana.comparison import Kind, Standing, compare
from voxmill.exporting.grafana.errors import GrafanaChanged, GrafanaUnauthorized
from voxmill.exporting.grafana.push import PushOptions, Step, push
from voxmill.exporting.grafana.server import Server
from voxmill.exporting.grafana.settings import GrafanaSettings
from voxmill.exporting.grafana.wanted import Wanted, wanted_on

OWN = "voxmill-contract-test"
SERVERS = ["recorded", *(["GRAFANA_URL"] if os.environ.get("GRAFANA_URL") else [])]


@pytest.fixture(params=SERVERS)
def settings(request: pytest.FixtureRequest) -> Iterator[GrafanaSettings]:
    """Where the server is; on a real one nothing is left behind."""
    if request.param == "recorded":
        with grafana_server() as grafana:
            yield GrafanaSettings.read({"GRAFANA_URL": grafana.url, "GRAFANA_TOKEN": grafana.token})
        return
    found = GrafanaSettings.read(os.environ)
    try:
        yield found
    finally:
        _clean(found)


def _clean(settings: GrafanaSettings) -> None:
    from grafana_client.api import GrafanaApi
    from grafana_client.client import GrafanaClientError

    gone = 404
    api = GrafanaApi.from_url(f"{settings.url}/", credential=settings.token)
    for delete in (
        lambda: api.folder.delete_folder(OWN),
        lambda: api.datasource.delete_datasource_by_uid(OWN),
        lambda: api.alertingprovisioning.delete_contactpoint(OWN),
    ):
        try:
            delete()
        except GrafanaClientError as error:
            if error.status_code != gone:
                raise


@pytest.fixture
def server(settings: GrafanaSettings) -> Server:
    return Server(settings)


@pytest.fixture
def wanted(settings: GrafanaSettings) -> Wanted:
    """The real dashboards, under names of the test's own."""
    found = wanted_on(settings, dashboard_texts().values())
    dashboards = copy.deepcopy(found.dashboards)
    for dashboard in dashboards:
        dashboard["uid"] = f"{dashboard['uid']}-test"
        dashboard["title"] = f"{dashboard['title']} (contract test)"
    return Wanted(
        folder={"uid": OWN, "title": OWN},
        datasource={**found.datasource, "uid": OWN, "name": OWN},
        contact_point={**found.contact_point, "uid": OWN, "name": OWN},
        dashboards=dashboards,
    )


def pushed(
    server: Server, wanted: Wanted, *, dry_run: bool = False, force: bool = False
) -> dict[str, str]:
    """Action by title, `datasource` and the like for what is no dashboard."""
    steps: list[Step] = []
    push(server, wanted, PushOptions(dry_run=dry_run, force=force), steps.append)
    return {
        step.thing.title if step.thing.kind is Kind.DASHBOARD else str(step.thing.kind): step.action
        for step in steps
    }


def standings(server: Server, wanted: Wanted) -> set[Standing]:
    return {thing.standing for thing in compare(server, wanted)}


def change_by_hand(server: Server, wanted: Wanted) -> str:
    """Somebody saves the first dashboard in the browser; gives its title."""
    uid = wanted.dashboards[0]["uid"]
    found = server.dashboard(uid)
    assert found is not None
    model = {**found["dashboard"], "description": "Mine now"}
    server.save_dashboard(model, folder=OWN, message="", overwrite=False)
    return str(model["title"])


def description(server: Server, wanted: Wanted) -> str:
    found = server.dashboard(wanted.dashboards[0]["uid"])
    assert found is not None
    return str(found["dashboard"]["description"])


def test_a_push_makes_everything_and_a_second_one_nothing(server: Server, wanted: Wanted) -> None:
    """What was pushed is found again as it was sent."""
    actions = pushed(server, wanted)
    assert set(actions.values()) == {"make"}
    assert len(compare(server, wanted)) == 3 + len(wanted.dashboards)
    assert standings(server, wanted) == {Standing.SAME}
    assert set(pushed(server, wanted).values()) == {"nothing to do"}


def test_a_dry_run_says_all_and_writes_nothing(server: Server, wanted: Wanted) -> None:
    """As often as one likes."""
    assert set(pushed(server, wanted, dry_run=True).values()) == {"make"}
    assert standings(server, wanted) == {Standing.MISSING}


def test_what_an_earlier_push_left_is_brought_up_to_date(server: Server, wanted: Wanted) -> None:
    """Nobody has to say --force for a new version of the code."""
    old = replace(wanted, dashboards=_described(wanted, "As it was"))
    pushed(server, old)
    assert description(server, wanted) == "As it was"
    actions = pushed(server, wanted)
    assert actions[wanted.dashboards[0]["title"]] == "update"
    assert standings(server, wanted) == {Standing.SAME}


def _described(wanted: Wanted, text: str) -> tuple[dict[str, Any], ...]:
    return ({**wanted.dashboards[0], "description": text}, *wanted.dashboards[1:])


def test_what_people_changed_is_shown_and_left_alone(server: Server, wanted: Wanted) -> None:
    """The others are brought up to date all the same; --force alone overwrites."""
    pushed(server, replace(wanted, dashboards=wanted.dashboards[:-1]))
    title = change_by_hand(server, wanted)
    changed = next(each for each in compare(server, wanted) if each.title == title)
    assert changed.standing is Standing.CHANGED
    assert '-  "description": "Mine now",' in changed.difference
    with pytest.raises(UsageError, match=r"Changed by hand.*Training.*--force") as refused:
        pushed(server, wanted)
    assert refused.value.exit_code == 64
    assert description(server, wanted) == "Mine now"
    assert server.dashboard(wanted.dashboards[-1]["uid"]) is not None
    assert pushed(server, wanted, force=True)[title] == "overwrite"
    assert standings(server, wanted) == {Standing.SAME}


def test_a_datasource_that_people_changed_is_left_alone_too(server: Server, wanted: Wanted) -> None:
    """Its address may have a reason that the code does not know."""
    pushed(server, wanted)
    server.change_datasource({**wanted.datasource, "url": "http://elsewhere:9090"})
    with pytest.raises(UsageError, match="datasource"):
        pushed(server, wanted)
    changed = {each.kind: each.standing for each in compare(server, wanted)}
    assert changed[Kind.DATASOURCE] is Standing.CHANGED
    assert pushed(server, wanted, force=True)["datasource"] == "overwrite"
    assert standings(server, wanted) == {Standing.SAME}


def test_what_is_saved_while_a_push_goes_on_is_not_overwritten(
    server: Server, wanted: Wanted
) -> None:
    """The server compares versions: 412."""
    pushed(server, replace(wanted, dashboards=_described(wanted, "As it was")))

    def meddle(step: Step) -> None:
        if step.thing.kind is Kind.CONTACT_POINT:  # the last one before the dashboards
            change_by_hand(server, wanted)

    with pytest.raises(GrafanaChanged, match="somebody saved it in the meantime"):
        push(server, wanted, PushOptions(), meddle)
    assert description(server, wanted) == "Mine now"


def test_a_backup_holds_what_the_server_has(server: Server, wanted: Wanted, tmp_path: Path) -> None:
    """Each dashboard in the folder of its folder; datasources and contact points beside them."""
    pushed(server, wanted)
    done = back_up(server, tmp_path / "copy")
    assert done.left_out == ()
    assert done.dashboards >= len(wanted.dashboards)
    for model in wanted.dashboards:
        path = tmp_path / "copy" / "dashboards" / OWN / f"{model['uid']}.json"
        assert json.loads(path.read_text())["dashboard"]["panels"] == model["panels"]
    for name in ("folders", "datasources", "contact-points"):
        values = json.loads((tmp_path / "copy" / f"{name}.json").read_text())
        assert OWN in {each["uid"] for each in values}
    with pytest.raises(UsageError, match="expected no such folder, or an empty one"):
        back_up(server, tmp_path / "copy")


def test_a_wrong_token_is_told_from_all_else(settings: GrafanaSettings) -> None:
    """With what to do about it."""
    stranger = Server(replace(settings, token="glsa_wrong"))
    with pytest.raises(GrafanaUnauthorized, match="GRAFANA_TOKEN is missing, wrong or expired"):
        stranger.dashboards()


def test_what_is_not_there_is_none(server: Server) -> None:
    """And no error."""
    assert server.dashboard("voxmill-nobody-made-this") is None
    assert server.folder("voxmill-nobody-made-this") is None
    assert server.datasource("voxmill-nobody-made-this") is None
    assert server.version()[0].isdigit()
