"""How a store spells the names of its keys: with tags, or plain, as earlier releases did.

A new store has tags from its first write. One that an earlier release made keeps its plain names, since all
processes of a rolling restart must find the same keys; only a single server can serve it. The hash `ROOT`
says which of the two a store has. Where names have tags, it shows a version that earlier releases refuse.
Each connection reads it, and spells names accordingly: nothing above asks.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError, TryAgainError

from image2model.store.keys import PLAIN_PREFIX, SHARED_CHANNELS, StoreKey, key

ROOT: Final = PLAIN_PREFIX + "store"
"""The store's identity where names are plain. Where they have tags, it has the field `tagged`."""
_TRACES: Final = tuple(
    key(name).plain for name in ("workers", "signing_secret", "api_keys", "owners", "unfinished", "ended")
)
"""Keys of 8adfc9c, which makes no `ROOT`; a store that it has used has at least one of them."""
BEYOND_PLAIN: Final = 100
"""The data version that `ROOT` shows where names have tags: none that a release without tags reads, so each
of them refuses such a store."""
CHANGING: Final = b"0"
"""The value of `tagged` while names get their tags."""
_CROSSSLOT: Final = "CROSSSLOT"
_OLD_CHANNELS: Final = (SHARED_CHANNELS.notification(""), SHARED_CHANNELS.control)

Args = tuple[bytes | str | int, ...]
Ask = Callable[..., Awaitable[Any]]
"""Sends one command, and returns its reply."""


def without_tags(args: Args) -> Args:
    """A command for a store with plain names."""
    return tuple(arg.plain if isinstance(arg, StoreKey) else arg for arg in args)


class NamesChanging(TryAgainError):
    """`image2model upgrade --tags` has begun, and has not come to its end."""


class Naming:
    """What the connections of one client know. It belongs to one event loop.

    `decided`: the store has said so, or an earlier release has used it; else it is new as far as is known.
    `changing`: the names are getting their tags (`tagging`), and no client but the one that does it may
    connect, which says so by `is_tagging`. `of_cluster`: no earlier release has ever run on one, so its names
    have tags, and it has no `ROOT`, which would lie on another node.
    """

    def __init__(self, *, of_cluster: bool = False) -> None:
        self.of_cluster = of_cluster
        self.tagged = True
        self.decided = False
        self.changing = False
        self.is_tagging = False

    def decide(self, *, tagged: bool) -> None:
        """It holds until the store says something else."""
        self.tagged, self.decided = tagged, True

    async def learn(self, ask: Ask) -> bool:
        """Ask the store; returns whether it is certain. One without `ROOT` is new, or was emptied."""
        if self.of_cluster:
            return True
        version, tagged = await ask("HMGET", ROOT, "version", "tagged")
        self.changing = tagged == CHANGING
        if version is not None:
            self.decide(tagged=tagged is not None and not self.changing)
            return True
        if not self.decided and await _is_of_8adfc9c(ask):
            self.decide(tagged=False)
        return False


class NamingConnection(AbstractConnection):
    """Learns the naming when it connects, and spells the keys of each command as the store does."""

    naming: Naming

    async def on_connect(self) -> None:
        """The handshake, and one more command; for a store that is new, some more.

        Raises NamesChanging.
        """
        await super().on_connect()
        try:
            await self._learn()
        except BaseException:
            # redis-py would hand out an open connection that knows no naming
            await self.disconnect(nowait=True)
            raise

    def pack_command(self, *args: Any) -> list[bytes]:
        """The bytes of one command."""
        packed: list[bytes] = super().pack_command(*(args if self.naming.tagged else without_tags(args)))
        return packed

    async def _learn(self) -> None:
        await self.naming.learn(self._ask)
        if self.naming.changing and not self.naming.is_tagging:
            problem = "`image2model upgrade --tags` has begun, and must be run to its end"
            raise NamesChanging(problem)  # type: ignore[no-untyped-call]  # redis-py has no types here

    async def _ask(self, *args: str) -> Any:
        await self.send_command(*args, check_health=False)
        return await self.read_response()


def naming_of(redis: Redis) -> Naming:
    """The naming that the connections of this client share. The client comes from `connection.connect`."""
    kind = redis.connection_pool.connection_class
    assert issubclass(kind, NamingConnection)  # noqa: S101 - `connect` made it
    return kind.naming


async def settle(redis: Redis, claim: Callable[[Redis], Awaitable[bool]]) -> None:
    """Know the naming for certain, before anything is written. `claim` makes `ROOT` for names with tags where
    there is none, and returns whether it says so.

    Raises StoreOutage.
    """
    naming = naming_of(redis)
    certain = await naming.learn(redis.execute_command)
    if not certain and naming.tagged:
        naming.decide(tagged=await claim(redis))


async def _is_of_8adfc9c(ask: Ask) -> bool:
    """Whether it has left a key, or listens. Where the server does not count listeners, there may be some."""
    try:
        if await ask("EXISTS", *_TRACES):
            return True
        counted = await ask("PUBSUB", "NUMSUB", *_OLD_CHANNELS)
    except ResponseError as error:
        return not str(error).startswith(_CROSSSLOT)  # it has never run on a cluster
    return any(map(int, counted[1::2]))
