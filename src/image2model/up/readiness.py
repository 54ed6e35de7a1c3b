"""Asks the API of this machine whether it is ready, and how its store is.

Who calls it: the supervisor, often while it starts and now and then afterwards. Plain sockets: importing an
HTTP client would take longer than the question.
"""

import json
import socket
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_SECONDS: Final = 1.0


class Answer(NamedTuple):
    """`status`: `ready`, `degraded` or `unready`; `store`: what the API says of a store that is not well."""

    status: str
    store: str = ""


def readiness(url: str) -> Answer | None:
    """What the API says; None while nothing answers."""
    where = urlsplit(url)
    request = f"GET /api/v1/health/ready HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((where.hostname, where.port), timeout=_SECONDS) as connection:
            connection.sendall(request.encode())
            answer = _everything(connection)
    except OSError:
        return None
    return _read(answer)


def _everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def _read(answer: bytes) -> Answer | None:
    body = answer.partition(b"\r\n\r\n")[2]
    try:
        document = json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
        store = document["checks"]["redis"]
        return Answer(str(document["status"]), "" if store["ok"] else str(store["detail"]))
    except (ValueError, TypeError, LookupError):
        return None
