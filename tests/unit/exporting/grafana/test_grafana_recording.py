"""The fake Grafana answers what the recorded one answered."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.grafana.server import RECORDED, TOKEN, VIEWERS_TOKEN, Grafana, grafana_server

TOKENS = {401: "nobody", 403: VIEWERS_TOKEN}
SAVED = {"dashboard": {"uid": "rec", "title": "rec"}, "overwrite": False}
ELIDED = [
    SAVED,  # made
    SAVED,  # the version that it replaces is not said: somebody else's
    {"dashboard": {"uid": "rec", "title": ""}},
    {"dashboard": {"uid": "r" * 41, "title": "rec"}},
]
"""The recording leaves the bodies of saved dashboards out."""
PAIRS = [each for each in RECORDED if not each["path"].startswith("/api/search?")]


@pytest.fixture(scope="module")
def grafana() -> Iterator[Grafana]:
    with grafana_server() as server:
        yield server


def test_the_recording_has_every_kind_of_answer() -> None:
    """What the client must be able to tell apart."""
    assert {each["status"] for each in RECORDED} == {200, 400, 401, 403, 404, 409, 412}


def test_played_again_in_order_each_request_has_the_recorded_answer(grafana: Grafana) -> None:
    """Status and message to the letter, and every key of the answer."""
    elided = iter(ELIDED)
    for pair in PAIRS:
        body = next(elided) if pair["body"] == "…" else pair["body"]
        if pair["path"] == "/api/datasources":
            body = {"uid": "p9", **body}
        status, answer = _ask(grafana, pair, body)
        expected = pair["response"]
        assert status == pair["status"], pair
        assert answer.keys() >= expected.keys() - {"id", "title"}, pair
        assert answer.get("message") == expected.get("message"), pair


def _ask(grafana: Grafana, pair: dict[str, Any], body: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{grafana.url}{pair['path']}",
        data=None if body is None else json.dumps(body).encode(),
        method=pair["method"],
        headers={
            "Authorization": f"Bearer {TOKENS.get(pair['status'], TOKEN)}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
