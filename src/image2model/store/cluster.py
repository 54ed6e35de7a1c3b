"""Connections to a cluster of Redis or Valkey: each goes to the node that serves the service's only cell.

All keys of the service lie in one slot (`keys.TAG`), so one node at a time has all of them, and its client is
an ordinary one. Only where that node is must be asked, at each connect, since a failover or a move of the
slot changes it. `connection.connect` makes such a client; nothing above knows of it.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from image2model.errors import ConfigurationError
from image2model.store.keys import FIRST_CELL, key
from image2model.store.naming import ROOT

SCHEMES: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
"""What a cluster's URL begins with, and the URL of one of its nodes."""
_PORT: Final = 6379

Address = tuple[str, int]
_Slots = list[list[Any]]


class Nodes:
    """The nodes of one client's cluster, as far as it knows them. It belongs to one event loop.

    `kind`, `options`: of redis-py's connection to any of them, with its deadlines.
    """

    def __init__(self, seeds: list[Address], kind: type[Connection], options: dict[str, Any]) -> None:
        self._known = seeds
        self._kind = kind
        self._options = options | {"retry": Retry(NoBackoff(), 0), "retry_on_error": []}
        self._has_our_names = False

    async def primary(self) -> Address:
        """The node that serves the service's keys now. Raises redis.ConnectionError if no node says it."""
        problem: Exception | None = None
        for asked in list(self._known):
            try:
                slots = await self._ask(asked, "CLUSTER", "SLOTS")
                found = _primary_of(FIRST_CELL, slots, asked)
                if not self._has_our_names:
                    await self._refuse_plain_names(found, slots, asked)
            except (RedisError, OSError, TimeoutError) as error:
                self.distrust(asked)
                problem = error
            else:
                self._known = list(dict.fromkeys([*self._known, *_addresses(slots, asked)]))
                return found
        raise RedisConnectionError(f"no node of the cluster serves the keys: {problem}") from problem

    def distrust(self, one: Address) -> None:
        """Ask this node after all others: it is away, or what it said was wrong."""
        self._known = [*(other for other in self._known if other != one), one]

    async def _refuse_plain_names(self, home: Address, slots: _Slots, asked: Address) -> None:
        """An earlier release's data, moved into a cluster as it is, would be taken for an empty store."""
        is_begun = await self._ask(home, "EXISTS", key("store"))
        if not is_begun and await self._ask(_primary_of(ROOT, slots, asked), "EXISTS", ROOT):
            raise RedisConnectionError(
                f"it has {ROOT}, so its keys have names that no cluster can serve. Run `image2model upgrade "
                "--tags` on a single server with this data, or restore a backup into an empty cluster"
            )
        self._has_our_names = True

    async def _ask(self, node: Address, *words: str) -> Any:
        """One reply, over a connection of its own: it is asked only when another one is made."""
        connection = self._kind(**self._options | {"host": node[0], "port": node[1]})
        try:
            await connection.connect()
            await connection.send_command(*words)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)


class NodeConnection(Connection):
    """A connection to the node that serves the service's keys at the moment when it connects."""

    nodes: Nodes

    async def _connect(self) -> None:
        self.host, self.port = await self.nodes.primary()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]  # redis-py has no types here
        except (OSError, TimeoutError):
            self.nodes.distrust((self.host, self.port))
            raise


def connection_kind(url: str, options: dict[str, Any]) -> tuple[str, type[Connection]]:
    """A URL of one node, for redis-py's pool, and the class of the pool's connections, with nodes of its own.

    `options`: what redis-py's connections get besides what the URL says. Raises ConfigurationError.
    """
    urls = _node_urls(url)
    parsed = [parse_url(one) for one in urls]
    given = parsed[0].pop("connection_class", Connection)
    base: type[Connection] = SSLConnection if issubclass(given, SSLConnection) else Connection
    seeds = [(one.get("host", "localhost"), int(one.get("port", _PORT))) for one in parsed]
    nodes = Nodes(seeds, base, {**parsed[0], **options})
    return urls[0], type(f"Clustered{base.__name__}", (NodeConnection, base), {"nodes": nodes})


def _node_urls(url: str) -> list[str]:
    """One URL for each node that the cluster's URL names; what else it says holds for all of them."""
    parts = urlsplit(url)
    if parts.path.strip("/"):
        raise ConfigurationError(
            ["I2M_REDIS_URL: the URL of a cluster ends with its hosts: a cluster has no databases"]
        )
    credentials, at, hosts = parts.netloc.rpartition("@")
    scheme = SCHEMES[parts.scheme]
    return [
        urlunsplit((scheme, f"{credentials}{at}{host}", "", parts.query, "")) for host in hosts.split(",")
    ]


def _primary_of(name: str, slots: _Slots, asked: Address) -> Address:
    """Who serves this key. Raises redis.ConnectionError if nobody does."""
    slot = key_slot(name.encode())
    for first, last, primary, *_replicas in slots:
        if first <= slot <= last:
            return _address(primary, asked)
    raise RedisConnectionError(f"slot {slot} belongs to no node")


def _addresses(slots: _Slots, asked: Address) -> Iterator[Address]:
    for _first, _last, *nodes in slots:
        yield from (_address(node, asked) for node in nodes)


def _address(node: list[Any], asked: Address) -> Address:
    """A node that does not know its own host is the one that was asked."""
    host, port = node[:2]
    return (host.decode() if host and host != b"?" else asked[0], int(port))
