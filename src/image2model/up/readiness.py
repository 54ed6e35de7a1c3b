"""Asks the API of this machine whether it is ready.

Who calls it: the supervisor while it starts. Plain sockets: importing an HTTP client would take longer
than the question.
"""

import json
import socket
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = 1.0


def readiness(url: str) -> str | None:
    """`ready`, `degraded` or `unready`; None while nothing answers."""
    where = urlsplit(url)
    request = f"GET /api/v1/health/ready HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((where.hostname, where.port), timeout=_SECONDS) as connection:
            connection.sendall(request.encode())
            answer = _everything(connection)
    except OSError:
        return None
    return _status(answer)


def _everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def _status(answer: bytes) -> str | None:
    body = answer.partition(b"\r\n\r\n")[2]
    try:
        document = json.loads(body[body.find(b"{") : body.rfind(b"}") + 1])
    except ValueError:
        return None
    status = document.get("status") if isinstance(document, dict) else None
    return status if isinstance(status, str) else None
