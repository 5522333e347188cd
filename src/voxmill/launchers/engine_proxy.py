"""A door to the Docker engine that opens for voxmill's stages only.

Airflow's tasks talk to this socket instead of the engine's: each request is looked at by
`engine_rules`, refused with 403 and a reason, or passed on. Bodies of answers go through as they
come, so logs of any length need no memory.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from voxmill.launchers.engine_rules import Refused, Request, Rules

logger = logging.getLogger(__name__)

MOST_BYTES = 2**20
"""Of a request; a container's description has a few thousand."""
PATIENCE_SECONDS = 15 * 60.0
"""Of the engine: stopping a container takes as long as its grace."""
_CHUNK = 64 * 2**10
_OF_A_CONNECTION = {"connection", "transfer-encoding", "keep-alive", "upgrade"}


class _ThreadingServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class EngineProxy(_ThreadingServer):
    """Listens on a Unix socket.

    Args:
        listen: The socket to make; one that a killed proxy left is replaced.
        engine: The engine's own socket.
        rules: What is allowed.
    """

    def __init__(self, listen: Path, engine: Path, rules: Rules) -> None:
        self.engine = engine
        self.rules = rules
        listen.parent.mkdir(parents=True, exist_ok=True)
        listen.unlink(missing_ok=True)
        super().__init__(str(listen), _Handler)
        listen.chmod(0o666)  # who may come near is said by the folder that the socket is in


class _Engine(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self._path))


def inspected(engine: Path, name: str) -> dict[str, Any] | None:
    """What the engine says of a container; None where it has none of that name.

    Args:
        engine: The engine's own socket.
        name: The container's name or id.
    """
    connection = _Engine(engine)
    try:
        connection.request("GET", f"/containers/{name}/json")
        answer = connection.getresponse()
        said = json.loads(answer.read() or b"{}")
    finally:
        connection.close()
    return said if answer.status == 200 else None


class _Handler(BaseHTTPRequestHandler):
    server: EngineProxy
    timeout = 60.0

    def do_GET(self) -> None:  # the library's names
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _serve(self) -> None:
        try:
            body = self._body()
            request = self.server.rules.request(self.command, self.path)
            target, body = self._allowed(request, body)
        except Refused as refusal:
            self._refuse(403, str(refusal))
        except (OSError, http.client.HTTPException) as error:
            self._refuse(502, f"the Docker engine does not answer: {error}")
        else:
            self._pass_on(target, body)

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers or "Upgrade" in self.headers:
            raise Refused("a request of unknown length, or one that changes the protocol")
        lengths = self.headers.get_all("Content-Length") or ["0"]
        if len(lengths) != 1 or not lengths[0].isdecimal() or int(lengths[0]) > MOST_BYTES:
            raise Refused(f"a request of {lengths} bytes; {MOST_BYTES} at most")
        return self.rfile.read(int(lengths[0]))

    def _allowed(self, request: Request, body: bytes) -> tuple[str, bytes]:
        """Where to send what, after the last checks."""
        if request.verb == "create":
            return self.path, self.server.rules.creation(body)
        if not request.container:
            return self.path, b""
        found = inspected(self.server.engine, request.container)
        if found is None:  # the engine says 404 in its own words
            return self.path, b""
        identity = self.server.rules.check_container(found)
        if request.verb == "start":
            self.server.rules.check_mounts(
                [
                    (str(mount.get("Source")), mount.get("ReadOnly") is True)
                    for mount in (found.get("HostConfig") or {}).get("Mounts") or []
                ]
            )
        # By its id, so that the container which was looked at is the one that is meant.
        old, new = f"/containers/{request.container}", f"/containers/{identity}"
        return self.path.replace(old, new, 1), b""

    def _pass_on(self, target: str, body: bytes) -> None:
        connection = _Engine(self.server.engine)
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            connection.request(self.command, target, body=body or None, headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._refuse(502, f"the Docker engine does not answer: {error}")
            return
        try:
            self._answer(answer)
        except OSError:
            logger.debug("%s %s: the caller went away", self.command, self.path)
        finally:
            connection.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        """Passes an answer on; its end is the end of the connection."""
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while chunk := answer.read1(_CHUNK):
            self.wfile.write(chunk)

    def _refuse(self, status: int, reason: str) -> None:
        logger.warning("%d %s %s: %s", status, self.command, self.path, reason)
        body = json.dumps({"message": f"voxmill docker-proxy: {reason}"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(body)

    def address_string(self) -> str:
        """A Unix socket's callers have no address."""
        return "local"

    def log_message(self, *_: Any) -> None:
        """Only refusals are logged."""
