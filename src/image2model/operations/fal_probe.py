"""The API's own look at FAL: one GET over a connection of its own, shared by all who ask meanwhile.

With httptools, which the server has anyway, and no HTTP client: the API asks FAL nothing else while it
serves, and importing aiohttp would take half as long as its whole start and an eighth of its memory.
"""

import asyncio
import ssl
from functools import cache
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import httptools

from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.health import health_of, probe_url
from image2model.fal.hosts import FalHosts
from image2model.http.write_probe import Check

CACHE_SECONDS: Final = 15.0
_DEADLINE_S: Final = 5.0
_MAX_BYTES: Final = 64 << 10
_MAX_CAUSE: Final = 500


class FalProbe:
    """Probes FAL and shares the result among all requests. `key` None: the check fails without a probe."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._probing = asyncio.Lock()
        self._answer: Check | None = None
        self._probed_at = 0.0

    async def check(self) -> Check:
        """The result, at most `CACHE_SECONDS` old. Never raises FalError."""
        async with self._probing:
            if self._answer is None or monotonic() - self._probed_at > CACHE_SECONDS:
                self._answer = await self._probe()
                self._probed_at = monotonic()
            return self._answer

    async def _probe(self) -> Check:
        if self._key is None:
            return Check(ok=False, detail="FAL_KEY is not set")
        url = probe_url(self._hosts, DEFAULT_MODEL)
        if not self._hosts.may_see_key(url):
            return _unreachable(url, "it is not on one of FAL's hosts: the key is not sent there")
        try:
            async with asyncio.timeout(_DEADLINE_S):
                status, body = await _get(url, self._key)
        except TimeoutError:
            return _unreachable(url, "no answer in time")
        except (OSError, ValueError, httptools.HttpParserError) as error:
            return _unreachable(url, str(error) or type(error).__name__)
        found = health_of(DEFAULT_MODEL, status, body)
        return Check(found.ok, found.detail)


def _unreachable(url: str, cause: str) -> Check:
    return Check(ok=False, detail=f"{url[:200]}: {cause[:_MAX_CAUSE]}")


class _Answer:
    """What the parser tells of an answer. `body`: its beginning."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """The end."""
        self.complete = True


async def _get(url: str, key: str) -> tuple[int, bytes]:
    """The status and the body, of which at most `_MAX_BYTES` and one read. Raises OSError, HttpParserError.

    It has no deadline of its own.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=_tls() if secure else None
    )
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        writer.write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Key {key}\r\n"
            "User-Agent: image2model\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode("latin-1")
        )
        while (
            not answer.complete and len(answer.body) < _MAX_BYTES and (data := await reader.read(_MAX_BYTES))
        ):
            parser.feed_data(data)
    finally:
        writer.transport.abort()
    if not (status := parser.get_status_code()):
        raise ConnectionError("the connection was closed without an answer")
    return status, answer.body


@cache
def _tls() -> ssl.SSLContext:
    """Kept: reading the system's certificates takes longer than the call."""
    return ssl.create_default_context()
