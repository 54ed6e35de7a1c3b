"""FAL with altered answers: a proxy before the emulator that changes what FAL says.

It serves files of its own too.

Used by tests of what becomes of a result. It runs in the test's own loop; workers are pointed at its `url`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.support.altering import Body
from tests.support.fal_proxy import FalProxy

Answer = tuple[int, bytes]
"""Status and body of a reply."""
AlterResult = Callable[[Any], object]
"""The emulator's result in; a new one out, or an `Answer` in its place."""
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AlteredFal(FalProxy):
    """`result` alters results, `status` the states; `denied` counts the 404s still to come, by kind.

    Without `lookups` the listing is empty.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.result: AlterResult = lambda result: result
        self.status: Callable[[dict[str, Any]], object] = lambda status: status
        self.streams = True
        self.denied = {"status": 0, "result": 0}
        self.lookups = True
        self.asked: list[str] = []
        self._files: dict[str, Serve] = {}

    def serve(self, name: str, serve: Serve | bytes) -> str:
        """The URL of a file of the test's own: bytes, or what answers for them."""
        self._files[name] = whole(serve) if isinstance(serve, bytes) else serve
        return f"{self.url}/files/altered/{name}"

    def fetched(self, name: str) -> int:
        """How often a file was asked for."""
        return sum(path.endswith(f"/altered/{name}") for path in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of a worker's."""
        self.asked.append(request.path)
        if request.path.startswith("/files/altered/"):
            return await self._files[request.path.rpartition("/")[2]](request)
        if request.path.endswith("/by-endpoint") and not self.lookups:
            return web.json_response({"items": []})
        kind = _kind(request)
        if kind == "stream" and (not self.streams or self.denied["status"] > 0):
            return web.Response(status=404)
        if kind in self.denied and self.denied[kind] > 0:
            self.denied[kind] -= 1
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        if kind == "stream":
            return await self.pass_on(request)
        return await self._changed(kind, await self.forward(request)).send(request)

    def _changed(self, kind: str, reply: Body) -> Body:
        if kind == "result" and reply.status == 200:
            status, content = _altered(self.result(json.loads(reply.content)))
            return replace(reply, status=status, content=content)
        if kind == "status" and reply.status in (200, 202):
            return replace(reply, content=json.dumps(self.status(json.loads(reply.content))).encode())
        return reply


def _kind(request: web.Request) -> str:
    if "/requests/" not in request.path or request.path.endswith("/by-endpoint") or request.method != "GET":
        return "other"
    if request.path.endswith("/status/stream"):
        return "stream"
    return "status" if request.path.endswith("/status") else "result"


def _altered(found: object) -> Answer:
    if isinstance(found, tuple):
        return found
    return 200, found if isinstance(found, bytes) else json.dumps(found).encode()


def failing(status: int) -> Serve:
    """A file that is never there."""
    return Body(status, b"no", "text/plain").send


def after(times: int, first: Serve, then: Serve) -> Serve:
    """A file that is there from a later time on."""
    left = times

    async def serve(request: web.Request) -> web.StreamResponse:
        nonlocal left
        left -= 1
        return await (first if left >= 0 else then)(request)

    return serve


def cut(data: bytes, at: int) -> Serve:
    """A file whose connection breaks off."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:at])
        if request.transport is not None:
            request.transport.abort()
        return response

    return serve


def silent(data: bytes = b"") -> Serve:
    """A file of which no more than this comes."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data) + 1000
        await response.prepare(request)
        await response.write(data)
        await asyncio.Event().wait()
        return response

    return serve


def whole(data: bytes, content_type: str = "application/octet-stream") -> Serve:
    """A file as any."""
    return Body(200, data, content_type).send


def unsized(data: bytes) -> Serve:
    """A file whose length nobody says."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(data), 70_000):
            await response.write(data[start : start + 70_000])
        return response

    return serve


@asynccontextmanager
async def altered_fal(upstream: str) -> AsyncIterator[AlteredFal]:
    """A running one on a free port of loopback."""
    fal = AlteredFal(upstream)
    async with fal.serving():
        yield fal
