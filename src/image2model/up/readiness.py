"""Reads from the local API whether it is ready, and how its store is.

Plain sockets: importing an HTTP client would take longer than the request.
"""

import json
import socket
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_SECONDS: Final = 1.0


class Readiness(NamedTuple):
    """`status`: `ready`, `degraded` or `unready`; `store`: what is wrong with the store, else empty."""

    status: str
    store: str = ""


def readiness(url: str) -> Readiness | None:
    """The API's readiness; None while nothing answers."""
    where = urlsplit(url)
    request = f"GET /api/v1/health/ready HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((where.hostname, where.port), timeout=_SECONDS) as connection:
            connection.sendall(request.encode())
            answer = _receive_all(connection)
    except OSError:
        return None
    return _parse(answer)


def _receive_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def _parse(answer: bytes) -> Readiness | None:
    body = answer.partition(b"\r\n\r\n")[2]
    try:
        document = json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
        store = document["checks"]["redis"]
        return Readiness(str(document["status"]), "" if store["ok"] else str(store["detail"]))
    except (ValueError, TypeError, LookupError):
        return None
