"""Takes StatsD datagrams from UDP."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voxmill.errors import UsageError

logger = logging.getLogger(__name__)

_DATAGRAM_BYTES = 65_535
_BUFFER_BYTES = 4 * 1024 * 1024
_WAKE_SECONDS = 0.2


@contextmanager
def listening(take: Callable[[bytes], None], *, host: str, port: int) -> Iterator[int]:
    """Hands on every datagram as long as the context is open.

    Args:
        take: Takes one; an exception of its is logged.
        host: Address to listen on.
        port: 0: any free one.

    Yields:
        The port.

    Raises:
        UsageError: The address is taken or not this machine's.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    udp.settimeout(_WAKE_SECONDS)
    try:
        udp.bind((host, port))
    except OSError as error:
        udp.close()
        raise UsageError(
            f"The exporter cannot listen for StatsD on {host}:{port} (UDP): "
            f"{error.strerror or error}. Choose another --statsd-port, or stop what listens there."
        ) from error
    closing = threading.Event()
    thread = threading.Thread(
        target=_receive, args=(udp, take, closing), name="statsd", daemon=True
    )
    thread.start()
    try:
        yield int(udp.getsockname()[1])
    finally:
        closing.set()
        thread.join()
        udp.close()


def _receive(udp: socket.socket, take: Callable[[bytes], None], closing: threading.Event) -> None:
    while not closing.is_set():
        try:
            datagram = udp.recv(_DATAGRAM_BYTES)
        except TimeoutError:
            continue
        except OSError as error:
            logger.warning("StatsD: %s", error)
            continue
        try:
            take(datagram)
        except Exception:  # the next datagram may be a good one
            logger.exception("A StatsD datagram could not be taken in")
