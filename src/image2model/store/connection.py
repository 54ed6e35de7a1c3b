"""Connections to Redis or Valkey: deadlines on every call, retries, Sentinel.

Who calls it: each process once at start. Every command has a socket timeout; a lost connection is tried
again a few times, which is safe because every script of the store may run twice.
"""

import socket
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis, Sentinel
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from image2model.errors import ConfigurationError
from image2model.store.life import LearningConnection, StoreLife

COMMAND_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


def connect(url: str, *, connections: int = 64, timeout_s: float = COMMAND_TIMEOUT_S) -> Redis:
    """A client on a pool of its own. Nothing is sent yet.

    Raises ConfigurationError for a Sentinel URL without a master's name.
    """
    if urlsplit(url).scheme == "redis+sentinel":
        return _sentinel(url, timeout_s)
    options = _options(timeout_s)
    if not url.startswith("unix:"):
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S}
    pool = BlockingConnectionPool.from_url(url, max_connections=connections, timeout=timeout_s, **options)
    pool.connection_class = _telling(pool.connection_class)
    return Redis.from_pool(pool)


def connect_for_pubsub(url: str) -> Redis:
    """A client for one pub/sub connection: nothing is tried again behind the caller's back.

    Who listens must know of every lost connection, for what was published meanwhile is gone. Deadlines are
    the caller's: with one of redis-py's own, a write may swallow a cancellation (`asyncio.wait_for`).
    """
    redis = connect(url, connections=2)
    redis.connection_pool.connection_kwargs |= {
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "health_check_interval": 0,
        "socket_timeout": None,
    }
    return redis


async def command(redis: Redis, *args: bytes | str | int | float) -> Any:
    """One command, its reply as redis-py reads it. Raises redis.RedisError.

    The one place where redis-py's missing types are met.
    """
    return await redis.execute_command(*args)  # type: ignore[no-untyped-call]


def _options(timeout_s: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_s,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }


def _sentinel(url: str, timeout_s: float) -> Redis:
    parts = urlsplit(url)
    master = parts.path.strip("/")
    if not master:
        raise ConfigurationError(["I2M_REDIS_URL: a sentinel URL ends with the master's name: …/mymaster"])
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    nodes = []
    for node in hosts.split(","):
        host, _, port = node.rpartition(":") if ":" in node else (node, "", "26379")
        nodes.append((host, int(port)))
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
        nodes, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S}
    )
    client: _Sentinelled = sentinel.master_for(
        master,
        redis_class=_Sentinelled,
        username=unquote(user) or None,
        password=unquote(password) or None,
        socket_keepalive=True,
        socket_keepalive_options=_KEEPALIVE,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        **_options(timeout_s),
    )
    client.watchers = sentinel
    pool = client.connection_pool
    pool.connection_class = _telling(pool.connection_class)
    return client


class _Telling(LearningConnection):
    """Says that the connection is lost where uvloop says that a handler is closed, which nobody expects."""

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Send. Raises redis.ConnectionError."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"the connection is lost: {error}") from error
        self.note_use()


def _telling(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A class for one client's connections, which share its `life`."""
    return type(kind.__name__, (_Telling, kind), {"life": StoreLife()})


class _Sentinelled(Redis):
    """Closes the connections to the Sentinels with its own."""

    watchers: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Every connection."""
        await super().aclose(close_connection_pool)
        for one in self.watchers.sentinels:
            await one.aclose()
