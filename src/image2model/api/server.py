"""One API process: uvicorn around the application, from the first log line to the exit code.

SIGTERM or SIGINT stops it. Event streams are closed first, because uvicorn waits for open answers before
anything else; then running requests may finish. The whole stop takes at most `I2M_SHUTDOWN_GRACE` seconds.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Final

import structlog
import uvicorn
from redis.exceptions import RedisError
from starlette.routing import BaseRoute

from image2model.api.app import create_app
from image2model.api.forwarded import behind_proxies
from image2model.api.protocol import AbortableProtocol
from image2model.api.state import ApiState
from image2model.errors import ConfigurationError
from image2model.settings import Settings, unknown_names
from image2model.store.condition import StoreCondition, condition_of, describe
from image2model.store.connection import connect, reach
from image2model.telemetry import logs, tracing
from image2model.telemetry.metrics import forget_process

_BACKLOG: Final = 2048
_TEARDOWN_SECONDS: Final = 2.0
"""Part of the grace period reserved for closing connections."""
_FINISH_SECONDS: Final = 0.5
"""Part of the grace period reserved for the steps after all lost replies are settled."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_log: Final = structlog.stdlib.get_logger(__name__)


def run(settings: Settings, page: Sequence[BaseRoute] = ()) -> int:
    """Serve until a signal and return the exit code 0. Call it from the main thread. `page`: further routes.

    The log event `ready` has the host and port (the system chooses a port of 0). Raises ConfigurationError if
    the store, the address or the folder of logs cannot be used.
    """
    logs.configure(settings, "api")
    for name in unknown_names():
        _log.warning(
            "unknown_setting", name=name, advice="There is no setting with this name. Check the spelling."
        )
    if settings.redis_url is not None:
        asyncio.run(_reach_store(settings.redis_url))
    server = ApiServer(settings, page)
    with _listen(settings.host, settings.port) as listener:
        tracing.start(settings.otel_endpoint, process="api")
        try:
            server.run(sockets=[listener])
        finally:
            tracing.stop()
    forget_process(os.getpid())
    _log.info("stopped")
    return 0


async def _reach_store(url: str) -> None:
    try:
        async with connect(url, timeout_s=2) as redis:
            await reach(redis)
    except RedisError as error:
        problem = describe(condition_of(error) or StoreCondition.REFUSED)
        raise ConfigurationError([f"I2M_REDIS_URL: {problem}: {error}"]) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError([f"I2M_HOST, I2M_PORT: cannot listen on {host}:{port}: {error}"]) from error


class ApiServer(uvicorn.Server):
    """uvicorn with our own signal handling: a requested stop is not a failure."""

    def __init__(self, settings: Settings, page: Sequence[BaseRoute] = ()) -> None:
        self._grace = settings.shutdown_grace
        super().__init__(
            uvicorn.Config(
                behind_proxies(create_app(settings, page), settings.trusted_proxies),
                loop="uvloop",
                interface="asgi3",
                http=AbortableProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, int(self._grace - _TEARDOWN_SECONDS)),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log `ready`."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        _log.info("ready", host=host, port=port, pid=os.getpid())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the block runs. Unlike uvicorn, do not raise the signal again afterwards."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, serve the connected clients, then close."""
        await self._accept_waiting(sockets or [])
        await super().shutdown(sockets)

    async def _accept_waiting(self, listeners: list[socket.socket]) -> None:
        """Stop listening without resetting the connections that the kernel has accepted and the loop has not.

        A duplicate of the listener keeps their queue open while the loop closes its own.
        """
        ours = [listener.dup() for listener in listeners]
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
        last = [connection for listener in ours for connection in _accept_all(listener)]
        loop = asyncio.get_running_loop()
        for connection in last:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> AbortableProtocol:
        return AbortableProtocol(self.config, self.server_state, self.lifespan.state)

    def stop(self) -> None:
        """Begin the stop. A second call ends at once, without waiting for running requests."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        _exit_after(self._grace)
        state: ApiState = self.lifespan.state["api"]
        state.lost_replies.deadline = monotonic() + self._grace - _FINISH_SECONDS
        state.relay.close_streams()


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """Accept all waiting connections, then close the listener: later connections are refused."""
    waiting = []
    with listener, suppress(BlockingIOError):
        listener.setblocking(False)
        while True:
            waiting.append(listener.accept()[0])
    return waiting


def _exit_after(seconds: float) -> None:
    """Exit after the hard deadline, even if something still hangs."""
    deadline = threading.Timer(seconds, os._exit, (1,))
    deadline.daemon = True
    deadline.start()
