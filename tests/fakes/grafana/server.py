"""A Grafana server that answers as a real one did: `recorded.json` has what that one said.

with grafana_server() as grafana:
    grafana.url, grafana.token
    grafana.misbehave("GET", "/api/health", 500, {"message": "on fire"})
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

RECORDED: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded.json").read_text("utf-8")
)
TOKEN = "glsa_a-token-that-must-never-be-shown"
VIEWERS_TOKEN = "glsa_viewer"
LONGEST_UID = 40
Answer = tuple[int, Any]


def recorded(method: str, path: str, status: int, number: int = 0) -> Any:
    """What the real server said to such a request."""
    found = [
        each["response"]
        for each in RECORDED
        if (each["method"], each["path"], each["status"]) == (method, path, status)
    ]
    return json.loads(json.dumps(found[number]))


@dataclass
class Grafana:
    """What the server has, and how it is to misbehave."""

    url: str = ""
    token: str = TOKEN
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    datasources: dict[str, dict[str, Any]] = field(default_factory=dict)
    contact_points: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Versions by uid, the newest last: dashboard, folderUid, message."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    provisioned: set[str] = field(default_factory=set)
    """Dashboards that come from files."""
    knows_contact_points: bool = True
    _misbehaviour: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def misbehave(self, method: str, path: str, status: int, body: object) -> None:
        """Answers so from now on; a body of text is sent as a page."""
        self._misbehaviour[method, path] = (status, body)

    def writes(self) -> list[tuple[str, str]]:
        """All requests that were to change something."""
        return [each for each in self.requests if each[0] != "GET"]

    def answer(self, method: str, target: str, body: Any, token: str) -> Answer:
        """Status and JSON for a request."""
        parts = urlsplit(target)
        self.requests.append((method, parts.path))
        if (method, parts.path) in self._misbehaviour:
            return self._misbehaviour[method, parts.path]
        if parts.path == "/api/health":
            return 200, recorded("GET", "/api/health", 200)
        return self._refusal(method, parts.path, token) or self._act(method, parts, body)

    def _refusal(self, method: str, path: str, token: str) -> Answer | None:
        if token not in {TOKEN, VIEWERS_TOKEN}:
            return 401, recorded("GET", "/api/search", 401)
        if token == VIEWERS_TOKEN and (method != "GET" or "/admin/" in path):
            return 403, recorded("GET", "/api/admin/stats", 403)
        return None

    def _act(self, method: str, parts: SplitResult, body: Any) -> Answer:
        for way, pattern, act in self._routes():
            found = re.fullmatch(pattern, parts.path)
            if way == method and found:
                return act(*found.groups(), *([body] if method in {"POST", "PUT"} else []))
        if parts.path == "/api/search":
            return 200, self._search(parse_qs(parts.query))
        return 404, {"message": "Not found"}

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        points = "/api/v1/provisioning/contact-points"
        routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "/api/folders", lambda: (200, list(self.folders.values()))),
            ("GET", "/api/folders/([^/]+)", self._folder),
            ("POST", "/api/folders", self._make_folder),
            ("DELETE", "/api/folders/([^/]+)", self._drop_folder),
            ("GET", "/api/datasources", lambda: (200, list(self.datasources.values()))),
            ("GET", "/api/datasources/uid/([^/]+)", self._datasource),
            ("POST", "/api/datasources", self._make_datasource),
            ("PUT", "/api/datasources/uid/([^/]+)", self._change_datasource),
            ("GET", "/api/dashboards/uid/([^/]+)", self._dashboard),
            ("DELETE", "/api/dashboards/uid/([^/]+)", self._drop_dashboard),
            ("GET", "/api/dashboards/uid/([^/]+)/versions", self._versions),
            ("POST", "/api/dashboards/db", self._save_dashboard),
            ("POST", "/api/annotations", lambda _: (200, _annotated())),
        ]
        if self.knows_contact_points:
            routes += [
                ("GET", points, lambda: (200, list(self.contact_points.values()))),
                ("POST", points, self._make_contact_point),
                ("PUT", f"{points}/([^/]+)", self._change_contact_point),
            ]
        return routes

    def _folder(self, uid: str) -> Answer:
        return (200, self.folders[uid]) if uid in self.folders else (404, _not_found("folder"))

    def _make_folder(self, body: dict[str, Any]) -> Answer:
        if body["uid"] in self.folders:
            return 412, recorded("POST", "/api/folders", 412)
        made = recorded("POST", "/api/folders", 200) | body
        self.folders[body["uid"]] = made
        return 200, made

    def _drop_folder(self, uid: str) -> Answer:
        found = self.folders.pop(uid)
        return 200, {"message": f"Folder {found['title']} deleted"}

    def _datasource(self, uid: str) -> Answer:
        found = self.datasources.get(uid)
        return (200, found) if found else (404, _not_found("data source"))

    def _make_datasource(self, body: dict[str, Any]) -> Answer:
        if body["name"] in {each["name"] for each in self.datasources.values()}:
            return 409, recorded("POST", "/api/datasources", 409)
        answer = recorded("POST", "/api/datasources", 200)
        answer["datasource"] |= body
        self.datasources[body["uid"]] = answer["datasource"]
        return 200, {**answer, "name": body["name"]}

    def _change_datasource(self, uid: str, body: dict[str, Any]) -> Answer:
        self.datasources[uid] |= body
        return 200, {"message": "Datasource updated", "datasource": self.datasources[uid]}

    def _dashboard(self, uid: str) -> Answer:
        versions = self.dashboards.get(uid)
        if not versions:
            return 404, recorded("GET", "/api/dashboards/uid/none", 404)
        meta = {"provisioned": uid in self.provisioned, "folderUid": versions[-1]["folderUid"]}
        return 200, {"dashboard": versions[-1]["dashboard"], "meta": meta}

    def _drop_dashboard(self, uid: str) -> Answer:
        del self.dashboards[uid]
        return 200, recorded("DELETE", "/api/dashboards/uid/rec", 200)

    def _versions(self, uid: str) -> Answer:
        found = [
            {"version": number, "message": each["message"]}
            for number, each in enumerate(self.dashboards[uid], start=1)
        ]
        return 200, {"versions": found[::-1]}

    def _save_dashboard(self, body: dict[str, Any]) -> Answer:
        model = body["dashboard"]
        if not model.get("title"):
            return 400, recorded("POST", "/api/dashboards/db", 400, 0)
        if len(model["uid"]) > LONGEST_UID:
            return 400, recorded("POST", "/api/dashboards/db", 400, 1)
        if model["uid"] in self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        versions = self.dashboards.setdefault(model["uid"], [])
        if versions and not body.get("overwrite") and model.get("version") != len(versions):
            return 412, recorded("POST", "/api/dashboards/db", 412)
        saved = {**model, "id": 13, "version": len(versions) + 1}
        versions.append({**body, "dashboard": saved, "folderUid": body.get("folderUid", "")})
        answer = recorded("POST", "/api/dashboards/db", 200)
        return 200, answer | {"uid": model["uid"], "version": len(versions)}

    def _make_contact_point(self, body: dict[str, Any]) -> Answer:
        self.contact_points[body["uid"]] = {**body, "provenance": ""}
        return 202, self.contact_points[body["uid"]]

    def _change_contact_point(self, uid: str, body: dict[str, Any]) -> Answer:
        self.contact_points[uid] |= body
        return 202, {"message": "contactpoint updated"}

    def _search(self, asked: dict[str, list[str]]) -> list[dict[str, Any]]:
        limit, page = int(asked.get("limit", ["1000"])[0]), int(asked.get("page", ["1"])[0])
        found = [
            {
                "uid": uid,
                "title": versions[-1]["dashboard"]["title"],
                "type": "dash-db",
                "folderUid": versions[-1]["folderUid"],
            }
            for uid, versions in self.dashboards.items()
        ]
        return found[limit * (page - 1) : limit * page]


def _not_found(what: str) -> dict[str, str]:
    return {"message": f"{what} not found"}


def _annotated() -> Any:
    return recorded("POST", "/api/annotations", 200)


@contextmanager
def grafana_server() -> Iterator[Grafana]:
    """The server on a loopback port."""
    grafana = Grafana()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            is_json = "json" in self.headers.get("Content-Type", "")
            body = json.loads(sent) if sent and is_json else None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, answer = grafana.answer(self.command, self.path, body, token)
            kind = "text/html" if isinstance(answer, str) else "application/json"
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 -- the names are http.server's

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    grafana.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
