"""FAL with altered answers: a proxy before the emulator that changes what FAL says.

It serves files of its own too.

Used by tests of what becomes of a result. It runs in the test's own loop; workers are pointed at its `url`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

Answer = tuple[int, bytes]
"""Status and body of a reply."""
AlterResult = Callable[[Any], object]
"""The emulator's result in; a new one out, or an `Answer` in its place."""
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HOP = frozenset({"transfer-encoding", "content-length", "connection", "content-encoding"})


class AlteredFal:
    """`result` alters results, `status` the states; `denied` counts the 404s still to come, by kind.

    Without `lookups` the listing is empty.
    """

    def __init__(self, target: str) -> None:
        self.url = ""
        self.result: AlterResult = lambda result: result
        self.status: Callable[[dict[str, Any]], object] = lambda status: status
        self.streams = True
        self.denied = {"status": 0, "result": 0}
        self.lookups = True
        self.asked: list[str] = []
        self._files: dict[str, Serve] = {}
        self._target = target
        self._http: aiohttp.ClientSession | None = None

    def serve(self, name: str, serve: Serve | bytes) -> str:
        """The URL of a file of the test's own: bytes, or what answers for them."""
        self._files[name] = _whole(serve) if isinstance(serve, bytes) else serve
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
        return await self._forward(request, kind)

    async def _forward(self, request: web.Request, kind: str) -> web.StreamResponse:
        assert self._http is not None
        async with self._http.request(
            request.method,
            self._target + request.raw_path,
            headers=request.headers,
            data=await request.read(),
            allow_redirects=False,
        ) as reply:
            headers = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP}
            if kind == "stream":
                return await _streamed(request, reply, headers)
            body = await reply.read()
            status = reply.status
            if kind == "result" and status == 200:
                status, body = _altered(self.result(json.loads(body)))
            elif kind == "status" and status in (200, 202):
                body = json.dumps(self.status(json.loads(body))).encode()
            return web.Response(status=status, body=body, headers=headers)

    async def open(self) -> None:
        """The way to the emulator."""
        self._http = aiohttp.ClientSession(auto_decompress=False)

    async def close(self) -> None:
        """Close it."""
        if self._http is not None:
            await self._http.close()


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


async def _streamed(
    request: web.Request, reply: aiohttp.ClientResponse, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    async for chunk in reply.content.iter_any():
        await response.write(chunk)
    return response


def _whole(data: bytes) -> Serve:
    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, content_type="application/octet-stream")

    return serve


def failing(status: int) -> Serve:
    """A file that is never there."""

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="no")

    return serve


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

    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, content_type=content_type)

    return serve


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
async def altered_fal(target: str) -> AsyncIterator[AlteredFal]:
    """A running one on a free port of loopback."""
    fal = AlteredFal(target)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", fal.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fal.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await fal.open()
    try:
        yield fal
    finally:
        await fal.close()
        await runner.cleanup()
