"""Connections to Redis or Valkey: deadlines on every call, retries, Sentinel, and what counts as an outage.

Every command has a socket timeout. A lost connection is retried a few times, which is safe because every
script of the store may run twice. Every command, pipeline and subscription raises an error that passes by
itself as `StoreOutage`; any other RedisError is a bug of ours.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from typing import Any, Final, NoReturn, cast
from urllib.parse import unquote, urlsplit

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis, Sentinel
from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import (
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from image2model.errors import ConfigurationError
from image2model.store import cluster
from image2model.store.naming import Naming, NamingConnection
from image2model.store.run_id import RunIdConnection, StoreRun

COMMAND_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0
_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}

_PASSING: Final = (OutOfMemoryError, ReadOnlyError, ClusterDownError, MasterDownError, TryAgainError)
_PASSING_CODE: Final = re.compile(
    r"(?:^|: -)(?:LOADING|READONLY|MISCONF|OOM|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|BUSY|ASK)\b"
)
"""Error replies that pass by themselves, by their code: redis-py has no class for most. Before version 7
the error of a script had the code behind the script's name and line: `ERR Error running script (...):
@user_script:3: -OOM`."""


class StoreOutage(RedisError):
    """The store is away, or refuses for now: a lost or refused connection, a timeout, no free connection, or
    the replies LOADING, READONLY, MISCONF, OOM, CLUSTERDOWN, MASTERDOWN, TRYAGAIN, NOREPLICAS, BUSY, ASK and
    MOVED, which is a node's that no longer serves the keys.

    It is the only error of the store that may be retried without an end. Any other one is a bug.
    """


class StoreUnreachable(StoreOutage, RedisConnectionError):
    """No connection, or it was lost."""


class StoreTimeout(StoreOutage, RedisTimeoutError):
    """No reply in time."""


class StoreRefusal(StoreOutage, ResponseError):
    """A reply that refuses for now. It is a ResponseError too, so that a pipeline reads the replies behind
    it."""


def connect(url: str, *, connections: int = 64, timeout_s: float = COMMAND_TIMEOUT_S) -> Redis:
    """A client with its own connection pool. It connects later.

    Raises ConfigurationError for a Sentinel URL without a master's name, and for a cluster's with a database.
    """
    if urlsplit(url).scheme == "redis+sentinel":
        return _sentinel(url, timeout_s)
    options, kind = _options(timeout_s), None
    if not url.startswith("unix:"):
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S}
    if urlsplit(url).scheme in cluster.SCHEMES:
        url, kind = cluster.connection_kind(url, options)
    pool = _Pool.from_url(url, max_connections=connections, timeout=timeout_s, **options)
    pool.connection_class = _raising_outages(kind or pool.connection_class)
    return Redis.from_pool(pool)


def connect_for_pubsub(url: str) -> Redis:
    """A client for one pub/sub connection, which it never reconnects by itself.

    A listener must notice every lost connection, since messages that were published meanwhile are lost. The
    caller sets deadlines: with one of redis-py's own, a write may swallow a cancellation
    (`asyncio.wait_for`).
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
    """Send one command; returns its reply as redis-py reads it. Raises StoreOutage, and RedisError for a bug.

    It is the only place that deals with redis-py's missing types.
    """
    return await redis.execute_command(*args)


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
    sentinel = Sentinel(nodes, sentinel_kwargs={"socket_timeout": CONNECT_TIMEOUT_S})
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
    pool.connection_class = _raising_outages(pool.connection_class)
    return client


class _Pool(BlockingConnectionPool):
    """A pool that raises StoreOutage when it is exhausted or cannot connect."""

    async def get_connection(
        self, command_name: object = None, *_keys: object, **_options: object
    ) -> AbstractConnection:
        """An open connection. Raises StoreOutage."""
        del command_name  # in redis-py's signature, which warns when it is passed on
        try:
            connection: AbstractConnection = await super().get_connection()
        except RedisError as error:
            _reraise(error)
        return connection


class StoreConnection(NamingConnection, RunIdConnection):
    """Raises errors that pass as StoreOutage, for commands, pipelines and subscriptions."""

    @property
    def transport(self) -> asyncio.Transport:
        """Of an open connection: for who sends and receives without redis-py's stream."""
        writer = self._writer
        assert writer is not None  # noqa: S101 - it is open
        return cast("asyncio.Transport", writer.transport)

    def new_reader(self, not_enough: object) -> hiredis.Reader:
        """What reads its replies then; `not_enough` is what it returns while a reply is not whole."""
        return hiredis.Reader(
            protocolError=InvalidResponse, replyError=self._parser.parse_error, notEnoughData=not_enough
        )

    async def connect(self) -> None:
        """Open it. Raises StoreOutage."""
        # redis-py would check the health of a connection that it is still opening; if the
        # server replied LOADING, it would reconnect inside that check again and again
        self.next_health_check = asyncio.get_running_loop().time() + self.health_check_interval
        try:
            await super().connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        except RedisError as error:
            _reraise(error)

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it. Raises StoreOutage."""
        try:
            await super().disconnect(nowait)
        except RedisError as error:
            _reraise(error)

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Send. Raises StoreOutage."""
        try:
            await super().send_packed_command(command, check_health)
        except RedisError as error:
            _reraise(error)
        except RuntimeError as error:
            # uvloop raises "the handler is closed" where asyncio raises that the connection is lost
            await self.disconnect(nowait=True)
            raise StoreUnreachable(f"the connection is lost: {error}") from error
        self.note_use()

    async def _send_ping(self) -> None:
        """redis-py's health check. It does not use PING: a server with a failed disk refuses PING like a
        write, but replies to it while it is out of memory or read-only.
        """
        await self.send_command("ECHO", "", check_health=False)
        await self.read_response()

    async def can_read_destructive(self) -> bool:
        """Whether something waits to be read. Raises StoreOutage."""
        try:
            return bool(await super().can_read_destructive())  # type: ignore[no-untyped-call]
        except RedisError as error:
            _reraise(error)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """One reply. Raises StoreOutage, ResponseError."""
        try:
            reply = await super().read_response(*args, **options)
        except RedisError as error:
            if _is_moved(error):
                await self.disconnect(nowait=True)  # another connection finds the node
            _reraise(error)
        if isinstance(reply, list):
            # the replies of a transaction include its errors
            return [(_outage_of(one) or one) if isinstance(one, ResponseError) else one for one in reply]
        return reply


def _raising_outages(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A class for one client's connections, which share its `run` and its `naming`."""
    naming = Naming(of_cluster=issubclass(kind, cluster.NodeConnection))
    return type(kind.__name__, (StoreConnection, kind), {"run": StoreRun(), "naming": naming})


def _reraise(error: RedisError) -> NoReturn:
    if (outage := _outage_of(error)) is None:
        raise error
    raise outage from error


def error_in(reply: object) -> RedisError | None:
    """What to raise for a reply of the server, as redis-py's parser made it; None where it is no error."""
    if not isinstance(reply, RedisError) or (outage := _outage_of(reply)) is None:
        return reply if isinstance(reply, RedisError) else None
    outage.__cause__ = reply
    return outage


def _outage_of(error: RedisError) -> StoreOutage | None:
    """The StoreOutage for an error that passes; None for a bug, and for what is a StoreOutage already."""
    if isinstance(error, StoreOutage):
        return None
    if isinstance(error, RedisConnectionError):
        return StoreUnreachable(str(error) or type(error).__name__)
    if isinstance(error, RedisTimeoutError):
        return StoreTimeout(str(error))
    if _is_moved(error):
        return StoreUnreachable(
            f"another node of a cluster serves the keys ({error}); I2M_REDIS_URL finds it if it begins with "
            "redis+cluster://"
        )
    if isinstance(error, _PASSING) or (isinstance(error, ResponseError) and _PASSING_CODE.search(str(error))):
        return StoreRefusal(str(error))
    return None


def _is_moved(error: RedisError) -> bool:
    """Whether a node of a cluster says that another one serves the key."""
    return isinstance(error, ResponseError) and str(error).startswith("MOVED ")


class _Sentinelled(Redis):
    """A client that also closes its connections to the Sentinels."""

    watchers: Sentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Every connection."""
        await super().aclose(close_connection_pool)
        for one in self.watchers.sentinels:
            await one.aclose()


async def reach(redis: Redis) -> None:
    """One round trip, to which every readable server replies, whether or not it takes writes.

    Raises StoreOutage.
    """
    await command(redis, "ECHO", "")


async def reach_subscribed(pubsub: PubSub, channel: str) -> None:
    """`reach` over a subscribed connection: subscribes to a channel that it has already. The reply is a
    message.

    Raises StoreOutage.
    """
    await pubsub.execute_command("SUBSCRIBE", channel)
