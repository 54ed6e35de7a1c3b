"""Runs the emulator in this process until a signal, and then ends at once with whatever is open.

Called by the command line. uvicorn raises the signal again after it has stopped and waits for open
responses; a program of ours exits 0 and does neither.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator

import uvicorn

from fal_emulator.app import create_app
from fal_emulator.config import Config

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """uvicorn that ends its open streams on a signal and says so with exit code 0."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to answer, and says so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """On SIGINT or SIGTERM stop; nothing is raised again afterwards."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Ends the streams, then the server."""
        self._on_stop()
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that its port is known before the server starts. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


async def serve(config: Config, listeners: list[socket.socket], ready: Callable[[], None]) -> None:
    """Serves on the bound sockets; calls `ready` once it answers, returns after a signal."""
    app = create_app(config)
    options = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=4096,
        timeout_graceful_shutdown=1,
    )
    server = Server(options, on_ready=ready, on_stop=lambda: app.state.emulator.close())
    await server.serve(sockets=listeners)
