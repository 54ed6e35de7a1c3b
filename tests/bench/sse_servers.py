"""What `sse.py` measures, each in a process of its own: our relay, and plain ASGI without a store.

Who calls it: `sse.py`, as `python -m tests.bench.sse_servers relay|raw …`. It prints its port when it listens.
"""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from image2model.api.events import EventRelay, SeverableProtocol, routes
from image2model.api.middleware import (
    AccessLog,
    ProblemAnswers,
    RefusalDrain,
    RequestId,
    SecurityHeaders,
)
from image2model.store.connection import connect
from image2model.telemetry.logs import configure
from image2model.telemetry.metrics import HTTP_DURATION, HTTP_REQUESTS


@dataclass(frozen=True)
class Caller:
    owner: str = "bench"
    role: str = "user"


def relay_app(url: str) -> ASGIApp:
    """The streams as they are served, with the middleware that wraps every answer."""
    redis = connect(url)
    relay = EventRelay(redis, url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with redis, relay:
            yield

    return Starlette(
        routes=routes(relay, lambda _scope: Caller()),
        lifespan=lifespan,
        middleware=[
            Middleware(RequestId),
            Middleware(AccessLog, requests=HTTP_REQUESTS, duration=HTTP_DURATION),
            Middleware(SecurityHeaders),
            Middleware(RefusalDrain, max_bytes=1_000_000),
            Middleware(ProblemAnswers),
        ],
    )


class RawStreams:
    """The least that a stream can cost: a queue, a writer task, a wait for the client to leave."""

    def __init__(self, topics: int, rate: float, filler: bytes) -> None:
        self._topics: list[set[asyncio.Queue[bytes]]] = [set() for _ in range(topics)]
        self._rate = rate
        self._filler = filler
        self._number = 0
        self._publishing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rpartition("/")[2]
        if path == "publish":
            self._publishing = asyncio.create_task(self._publish())
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await self._stream(self._topics[int(path)], receive, send)

    async def _stream(self, topic: set[asyncio.Queue[bytes]], receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        topic.add(queue)
        writer = asyncio.create_task(self._write(queue, send))
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            topic.discard(queue)
            writer.cancel()

    async def _write(self, queue: asyncio.Queue[bytes], send: Send) -> None:
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})

    async def _publish(self) -> None:
        due = time.monotonic()
        while True:
            due += 1 / self._rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            self._number += 1
            stamp = b'"queue_position":%d,' % (time.monotonic_ns() // 1000)
            data = b"id: %d\nevent: image\ndata: {%b%b}\n\n" % (self._number, stamp, self._filler)
            for queue in self._topics[self._number % len(self._topics)]:
                queue.put_nowait(data)


def main() -> None:
    """Serve until killed."""
    kind, *rest = sys.argv[1:]
    configure(level="warning", json=True, process="api")
    app = relay_app(rest[0]) if kind == "relay" else RawStreams(int(rest[0]), float(rest[1]), b"x" * 780)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    lifespan = "on" if kind == "relay" else "off"
    config = uvicorn.Config(
        app, http=SeverableProtocol, lifespan=lifespan, log_config=None, access_log=False
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
