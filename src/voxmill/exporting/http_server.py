"""`/metrics` over HTTP, and `/-/healthy` for whoever keeps the exporter alive."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from voxmill.errors import UsageError

logger = logging.getLogger(__name__)

METRICS_PATH = "/metrics"
HEALTH_PATH = "/-/healthy"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """An event of the log, not a raw trace: whoever asks may give up before it is answered."""
        if isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            logger.info("%s went before it was answered", client_address)
        else:
            logger.error("%s could not be answered", client_address, exc_info=sys.exception())


@contextmanager
def serving(answer: Callable[[], bytes], *, host: str, port: int) -> Iterator[int]:
    """Answers scrapes in the background as long as the context is open.

    Args:
        answer: Gives the text.
        host: Address to listen on.
        port: 0: any free one.

    Yields:
        The port.

    Raises:
        UsageError: The address is taken or not this machine's.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds; whoever opens a connection and says nothing lets it go

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == METRICS_PATH:
                self._send(HTTPStatus.OK, answer())
            elif path == HEALTH_PATH:
                self._send(HTTPStatus.OK, b"ok\n")
            else:
                self._send(HTTPStatus.NOT_FOUND, f"Metrics are at {METRICS_PATH}.\n".encode())

        def _send(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", TEXT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """A scrape every few seconds is no news."""

    try:
        server = _Server((host, port), Handler)
    except OSError as error:
        raise UsageError(
            f"The exporter cannot listen on {host}:{port}: {error.strerror or error}. Choose "
            f"another --port, or stop what listens there."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
