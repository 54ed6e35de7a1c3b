"""The few HTTP requests that the emulator sends itself: webhooks, and pictures on loopback.

Blocking, with a deadline; called in worker threads only. http.client is enough for them and costs the
start nothing.
"""

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

TIMEOUT = 10.0
"""Seconds for each step of a request."""

MAX_PICTURE = 64 * 1024 * 1024
"""Bytes of a fetched picture."""


class OutboundError(Exception):
    """The request did not succeed; the message says why."""


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of a POST. Raises OutboundError if there was none."""
    return _request("POST", url, body, headers)[0]


def get_loopback(url: str) -> bytes:
    """The body of a GET to http on this machine. Raises OutboundError, also for any other host."""
    if not _is_loopback(url):
        raise OutboundError("the emulator fetches only from http on loopback and from its own files")
    status, data = _request("GET", url, None, {})
    if status != 200:
        raise OutboundError(f"the server answered {status}")
    if len(data) > MAX_PICTURE:
        raise OutboundError(f"more than {MAX_PICTURE} bytes")
    return data


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _request(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = _connection(parts)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_PICTURE + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise OutboundError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _connection(parts: SplitResult) -> HTTPConnection:
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise OutboundError("not an http URL")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        return kind(parts.hostname, parts.port, timeout=TIMEOUT)
    except ValueError as error:
        raise OutboundError(f"not an http URL: {error}") from error
