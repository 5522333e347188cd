"""The client against a real HTTP server that answers as it is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from voxmill.errors import EngineMissing
from voxmill.orchestration.airflow_api import AirflowApi, AirflowRefused


class Told(BaseHTTPRequestHandler):
    def answer(self):
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        status, body = self.server.answers.get(path, (404, {"detail": "Not Found"}))
        body = body(self.path) if callable(body) else body
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "text/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 -- http.server's names

    def log_message(self, *_):
        pass


@pytest.fixture
def airflow():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    server.asked = []
    server.answers = {"/auth/token": (201, {"access_token": "abc"})}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(airflow):
    return AirflowApi(f"{airflow.url}/", "olga", "secret")


def test_every_page_is_read_with_one_token(airflow, api):
    """Rule: nothing beyond the first hundred is lost, and the login is asked once."""
    every = [{"dag_id": f"dag-{number}"} for number in range(250)]

    def page(path):
        offset = int(path.rpartition("offset=")[2])
        return {"dags": every[offset : offset + 100], "total_entries": 250}

    airflow.answers["/api/v2/dags"] = (200, page)
    assert list(api.dags()) == [one["dag_id"] for one in every]
    assert [command for command, *_ in airflow.asked] == ["POST", "GET", "GET", "GET"]
    assert {token for *_, token in airflow.asked[1:]} == {"Bearer abc"}


def test_ids_are_quoted_in_addresses(airflow, api):
    """Rule: Airflow's own run ids hold signs that mean something in a URL."""
    run = "manual__2026-11-21T03:00:00+00:00"
    path = "/api/v2/dags/digits/dagRuns/manual__2026-11-21T03%3A00%3A00%2B00%3A00"
    answer = {"dag_id": "digits", "dag_run_id": run, "state": "running", "conf": None}
    airflow.answers[path] = (200, answer)
    found = api.dag_run("digits", run)
    assert (found.id, found.state, found.over, found.conf) == (run, "running", False, {})
    assert api.page("digits", run).endswith(path.rpartition("/")[2])


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"detail": "Invalid input for param epochs"}, "Invalid input for param epochs"),
        (401, {"detail": "Invalid credentials"}, "login of 'olga' is not right"),
        (403, {"detail": "Forbidden"}, "User 'olga' may not do this"),
        (409, {"detail": {"reason": "Unique constraint violation"}}, "Unique constraint violation"),
        (422, {"detail": [{"loc": ["body", "conf"], "msg": "not a dict"}]}, "conf: not a dict"),
        (502, "<html>Bad Gateway</html>", "Bad Gateway"),
    ],
)
def test_a_refusal_has_its_status_and_airflow_s_reason(airflow, api, status, body, said):
    """Rule: whatever form the reason has, a person reads it; the password is never in it."""
    airflow.answers["/api/v2/dags/digits/dagRuns"] = (status, body)
    with pytest.raises(AirflowRefused) as refusal:
        api.trigger("digits", {})
    assert refusal.value.status == status
    assert refusal.value.exit_code == 64
    assert said in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_nobody_there_says_what_to_start(api, airflow):
    """Rule: exit code 69, and the next step."""
    airflow.shutdown()
    airflow.server_close()
    with pytest.raises(EngineMissing, match="`make airflow`"):
        api.health()


def test_another_program_on_the_port_is_told_from_airflow(airflow, api):
    """Rule: a page that is no JSON is no Airflow."""
    airflow.answers["/api/v2/monitor/health"] = (200, "<html>hello</html>")
    with pytest.raises(EngineMissing, match="is no Airflow: it sent text/html"):
        api.health()


def test_a_proxy_is_not_asked_for_this_machine(airflow, monkeypatch):
    """Rule: an office's proxy in the environment does not cut us off from our own server."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    airflow.answers["/api/v2/monitor/health"] = (
        200,
        {"scheduler": {"status": "healthy"}, "x": None},
    )
    assert AirflowApi(airflow.url, "olga", "secret").health() == {"scheduler": "healthy", "x": ""}
