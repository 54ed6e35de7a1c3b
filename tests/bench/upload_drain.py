"""The yardstick of `upload`: drains the body, hashes it in a thread, writes the same bytes.

Run as `python -m tests.bench.upload_drain PORT FOLDER`.
"""

import asyncio
import hashlib
import sys
import uuid

import obstore
import uvicorn
from obstore.store import LocalStore
from starlette.types import Receive, Scope, Send

_PART = 4 << 20


class Drain:
    """One object for every 4 MiB of the body, as a picture would be."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        store = LocalStore(self._folder, mkdir=True)
        chunks: list[bytes] = []
        more = True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
            if not more or sum(map(len, chunks)) >= _PART:
                data = b"".join(chunks)
                chunks.clear()
                await asyncio.to_thread(hashlib.sha256, data)
                await obstore.put_async(store, uuid.uuid4().hex, data, use_multipart=False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    uvicorn.run(
        Drain(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
