"""A running Airflow, spoken to over its REST API: trigger, watch, answer.

The few calls that voxmill needs, typed; whoever needs more finds all of them at `URL/docs`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from voxmill.errors import EngineMissing, UsageError
from voxmill.orchestration.airflow_answers import (
    DagRunState,
    RequiredAction,
    TaskState,
    read_action,
    read_run,
    read_task,
)

if TYPE_CHECKING:
    import httpx

PAGE = 100
"""Entries that Airflow gives at once, at most."""
PATIENCE_SECONDS = 30.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class AirflowRefused(UsageError):
    """Airflow answered, but did not do what was asked.

    Attributes:
        status: The HTTP status: 400 a value, 401 the login, 403 the role, 404 not there, 409 twice.
        detail: Airflow's own words.
    """

    def __init__(self, message: str, *, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(message)


class AirflowApi:
    """Calls one Airflow as one user.

    Args:
        url: Such as `http://127.0.0.1:8080`.
        user: Name of the login.
        password: Its password; the token that Airflow gives for it is kept while this lives.
        timeout_seconds: How long one call may take.
    """

    def __init__(
        self, url: str, user: str, password: str, *, timeout_seconds: float = PATIENCE_SECONDS
    ) -> None:
        import httpx

        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._token = ""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each call
        # A proxy that the environment names has no way to this machine's own ports.
        trusted = urlsplit(self.url).hostname not in _LOOPBACK
        self._client = httpx.Client(timeout=timeout_seconds, trust_env=trusted)

    def health(self) -> dict[str, str]:
        """Status of each component: `healthy`, `unhealthy`, or empty where it was never there."""
        found = self._asked("GET", "/api/v2/monitor/health", signed=False)
        return {name: (entry or {}).get("status") or "" for name, entry in found.items()}

    def token(self) -> str:
        """The token of this login; asked for once."""
        if not self._token:
            body = {"username": self.user, "password": self._password}
            self._token = self._asked("POST", "/auth/token", json=body, signed=False)[
                "access_token"
            ]
        return self._token

    def dags(self) -> dict[str, dict[str, Any]]:
        """Every DAG by id, as Airflow describes it (`is_paused`, `has_import_errors`, …)."""
        return {entry["dag_id"]: entry for entry in self._every("/api/v2/dags", "dags")}

    def import_errors(self) -> dict[str, str]:
        """Traces by DAG file, of files that Airflow cannot read."""
        found = self._every("/api/v2/importErrors", "import_errors")
        return {entry["filename"]: entry["stack_trace"] for entry in found}

    def pause(self, dag: str, *, paused: bool = True) -> None:
        """Stops a DAG from starting runs, or lets it start them again."""
        self._asked("PATCH", f"/api/v2/dags/{_quoted(dag)}", json={"is_paused": paused})

    def trigger(
        self, dag: str, conf: Mapping[str, object], *, run: str | None = None
    ) -> DagRunState:
        """Starts a run.

        Args:
            dag: The DAG's id, which is the recipe's name.
            conf: Values by `section.key`.
            run: The DAG run's id; by default Airflow makes one from the time.

        Raises:
            AirflowRefused: 400 a value is against the form; 404 no such DAG; 409 the id is taken.
        """
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf)}
        body |= {"dag_run_id": run} if run else {}
        return read_run(self._asked("POST", f"/api/v2/dags/{_quoted(dag)}/dagRuns", json=body))

    def dag_run(self, dag: str, run: str) -> DagRunState:
        """How a run stands."""
        return read_run(self._asked("GET", _run_path(dag, run)))

    def dag_runs(self, dag: str) -> list[DagRunState]:
        """Every run of a DAG."""
        return [
            read_run(one) for one in self._every(f"/api/v2/dags/{_quoted(dag)}/dagRuns", "dag_runs")
        ]

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """Every task of a run."""
        found = self._every(f"{_run_path(dag, run)}/taskInstances", "task_instances")
        return [read_task(one) for one in found]

    def log(
        self, dag: str, run: str, task: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """The log of a task's try: one entry a line, `event` and what else it says."""
        path = f"{_run_path(dag, run)}/taskInstances/{_quoted(task)}/logs/{try_number}"
        found = self._asked("GET", path, params={"full_content": True, "map_index": map_index})
        return [one if isinstance(one, dict) else {"event": one} for one in found["content"]]

    def xcom(
        self, dag: str, run: str, task: str, *, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """What a task returned, or left under another key."""
        path = f"{_run_path(dag, run)}/taskInstances/{_quoted(task)}/xcomEntries/{_quoted(key)}"
        params = {"deserialize": True, "map_index": map_index}
        return self._asked("GET", path, params=params)["value"]

    def required_actions(self, dag: str, run: str) -> list[RequiredAction]:
        """What a run asks, or has asked, of a person."""
        return [
            read_action(one) for one in self._every(f"{_run_path(dag, run)}/hitlDetails", _HITL)
        ]

    def answer(
        self,
        action: RequiredAction,
        options: Sequence[str],
        params: Mapping[str, object] | None = None,
    ) -> None:
        """Answers a question.

        Args:
            action: As `required_actions` gives it.
            options: What is chosen, among its `options`.
            params: The form below it.

        Raises:
            AirflowRefused: 403 this user may not; 409 somebody has answered already; 400 or 422 the
                answer is none of the options, or the form is wrong.
        """
        path = f"{_run_path(action.dag, action.run)}/taskInstances/{_quoted(action.task)}"
        body = {"chosen_options": list(options), "params_input": dict(params or {})}
        self._asked("PATCH", f"{path}/{action.map_index}/hitlDetails", json=body)

    def make_pool(self, name: str, slots: int, description: str) -> bool:
        """Makes a pool where there is none of that name; says whether it did."""
        if name in self.pools():
            return False
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self._asked("POST", "/api/v2/pools", json=body)
        return True

    def pools(self) -> dict[str, int]:
        """Slots by pool."""
        return {one["name"]: one["slots"] for one in self._every("/api/v2/pools", "pools")}

    def page(self, dag: str, run: str = "") -> str:
        """Where a browser shows the DAG, or one of its runs."""
        end = f"/runs/{_quoted(run)}" if run else ""
        return f"{self.url}/dags/{_quoted(dag)}{end}"

    def _every(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            found = self._asked("GET", path, params={"limit": PAGE, "offset": offset})
            yield from found[key]
            offset += len(found[key])
            if not found[key] or offset >= found["total_entries"]:
                return

    def _asked(self, method: str, path: str, *, signed: bool = True, **content: Any) -> Any:
        import httpx

        headers = {"Authorization": f"Bearer {self.token()}"} if signed else {}
        try:
            response = self._client.request(method, self.url + path, headers=headers, **content)
        except httpx.HTTPError as error:
            raise EngineMissing(
                f"No Airflow answers at {self.url} ({error or type(error).__name__}). Start it "
                f"with `make airflow`, or say where it is: --url or VOXMILL_AIRFLOW_URL."
            ) from error
        if response.is_error:
            raise self._refusal(f"{method} {path}", response)
        return _json(response, self.url)

    def _refusal(self, call: str, response: httpx.Response) -> AirflowRefused:
        status, detail = response.status_code, _detail(response)
        advice = {
            401: f" The login of {self.user!r} is not right: `make airflow` prints user and "
            f"password; VOXMILL_AIRFLOW_USER and VOXMILL_AIRFLOW_PASSWORD say others.",
            403: f" User {self.user!r} may not do this: log in as one whose role may.",
        }.get(status, "")
        message = f"Airflow at {self.url} refused {call} with {status}: {detail}{advice}"
        return AirflowRefused(message, status=status, detail=detail)


_HITL = "hitl_details"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _run_path(dag: str, run: str) -> str:
    return f"/api/v2/dags/{_quoted(dag)}/dagRuns/{_quoted(run)}"


def _detail(response: httpx.Response) -> str:
    """Airflow's reason, which is a text, a list of field errors, or a page of a proxy."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300].strip() or response.reason_phrase
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in one.get('loc', ()))}: {one.get('msg', one)}"
            for one in detail
        )
    return str(detail.get("reason") or detail) if isinstance(detail, dict) else str(detail)


def _json(response: httpx.Response, url: str) -> Any:
    if response.status_code == 204:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise EngineMissing(
            f"What answers at {url} is no Airflow: it sent {response.headers.get('content-type')}. "
            f"Another program may have the port; say where Airflow is with --url."
        ) from error
