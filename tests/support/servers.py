"""A real uvicorn around an ASGI application, in a thread, on a port of its own.

Who calls it: tests that speak HTTP to a part of the API. The port listens before `serving` yields.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.types import ASGIApp


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connect(self) -> socket.socket:
        """A raw connection; the caller closes it."""
        return socket.create_connection((self.host, self.port), timeout=20)


@contextmanager
def serving(
    app: ASGIApp,
    *,
    http: str | type[asyncio.Protocol] = "httptools",
    lifespan: Literal["auto", "on", "off"] = "auto",
    send_buffer: int = 0,
    certificate: Path | None = None,
) -> Iterator[Address]:
    """Serve `app` until the block ends; then every connection is closed and the thread has ended.

    `send_buffer`: bytes that the kernel holds for a client that does not read (0: its own choice).
    `certificate`: a PEM file with its key in it, to serve by https.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=http,
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
    thread.start()
    try:
        yield Address(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
