"""A proxy between the workers and the emulator: what all tests that alter FAL's answers build on.

It passes each client's `Host` on, so that every URL that the emulator writes leads through it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.support.altering import Body

_HOP = frozenset({"transfer-encoding", "connection", "content-length", "content-encoding", "keep-alive"})


class FalProxy:
    """Passes each call on; a subclass answers some in another way."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self._upstream = upstream
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The way to the emulator."""
        assert self._http is not None
        return self._http

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Every call."""
        return await self.pass_on(request)

    async def forward(self, request: web.Request, host: str | None = None) -> Body:
        """FAL's whole answer."""
        async with self._ask(request, host) as reply:
            kept = _kept(reply)
            kind = kept.pop("Content-Type", "application/octet-stream")
            return Body(reply.status, await reply.read(), kind, kept)

    async def pass_on(self, request: web.Request, host: str | None = None) -> web.StreamResponse:
        """FAL's answer piece by piece: an endless stream, or a file of any size."""
        async with self._ask(request, host) as source:
            reply = web.StreamResponse(status=source.status, headers=_kept(source))
            reply.content_length = source.content_length
            await reply.prepare(request)
            async for piece in source.content.iter_any():
                await reply.write(piece)
            await reply.write_eof()
            return reply

    @asynccontextmanager
    async def _ask(self, request: web.Request, host: str | None) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _HOP}
        headers["Host"] = host or request.host
        async with self.http.request(
            request.method,
            self._upstream + request.raw_path,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as reply:
            yield reply

    @asynccontextmanager
    async def serving(self, ports: int = 1) -> AsyncIterator[list[str]]:
        """Run on so many free ports of loopback, of which the first is `url`; yields the URLs of all."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            async with aiohttp.ClientSession(
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=120),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
            ) as self._http:
                for _ in range(ports):
                    await web.TCPSite(runner, "127.0.0.1", 0).start()
                urls = [f"http://127.0.0.1:{port}" for _, port in runner.addresses]
                self.url = urls[0]
                yield urls
        finally:
            await runner.cleanup()


def _kept(reply: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: text for name, text in reply.headers.items() if name.lower() not in _HOP}
