"""What `sse.py` compares with: plain ASGI without a store.

Run as `python -m tests.bench.sse_raw TOPICS RATE`. It prints its port when it listens, and begins to
publish at a request for `/publish`.
"""

import asyncio
import socket
import sys
import time
from contextlib import suppress

import uvicorn
from starlette.types import Receive, Scope, Send


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
    app = RawStreams(int(sys.argv[1]), float(sys.argv[2]), b"x" * 780)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    config = uvicorn.Config(app, loop="uvloop", lifespan="off", log_config=None, access_log=False)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
