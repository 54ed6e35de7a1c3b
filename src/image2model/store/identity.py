"""Which store this is, and which data version is written to it.

Who calls it: each API process and worker, from its start on and once a second; operators' commands. A store
has an id of its own, so that services on one server never hear each other, and so that a process notices when
the store behind its URL has become another one (flushed, restored, failed over to an older copy).
"""

import asyncio
import secrets
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import ConfigurationError
from image2model.store.connection import StoreOutage, command
from image2model.store.data_versions import LATEST, subscribed_channels
from image2model.store.keys import Channels, key, own_channels
from image2model.store.scripts import Script

_log: Final = structlog.get_logger("store.identity")

LOOK_S: Final = 1.0
"""How often a process looks."""
READER_TTL_S: Final = 15.0
"""How long a process counts after its last look, and for how long nobody of an earlier release must have been
seen before the version goes up: the life of a worker's heartbeat in 8adfc9c."""

_SETTLE: Final = Script("store/negotiate_version")


class StoreIdentity(msgspec.Struct, frozen=True):
    """A store's id and the data version that is written to it."""

    version: int
    store_id: str

    @property
    def own_channels(self) -> Channels:
        """The channels of this store alone."""
        return own_channels(self.store_id)

    @property
    def subscribed_channels(self) -> tuple[Channels, ...]:
        """All that must be listened to: its own first."""
        return subscribed_channels(self.version, self.store_id)


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """How far a store is on its way to the newest data version, and how many processes hold it back.

    `workers` and `apis` are of 8adfc9c, by heartbeats and by what is listened to; the latter counts other
    services on the same server too. `behind` are processes of releases in between. Once it is `done`,
    `workers` are those of 8adfc9c that were forced past or started since: they fail on what they read.
    """

    head: StoreIdentity
    workers: int
    apis: int
    behind: int

    @property
    def done(self) -> bool:
        """Nothing is held back."""
        return self.head.version == LATEST


async def settle(
    redis: Redis, *, process: str = "", force: bool = False, life_s: float = READER_TTL_S
) -> Upgrade:
    """Look at the store, make its id where it has none, and raise its version where nobody holds it back.

    `process`: who looks, and reads `LATEST`; without it nobody does. `force`: 8adfc9c is not waited for.
    `life_s`: how long a process counts, and how long nobody must have been seen.
    Raises StoreOutage, and ConfigurationError for a store that a newer release writes.
    """
    life_ms = int(life_s * 1000)
    version, store_id, workers, apis, behind = await _SETTLE.packed(
        redis, secrets.token_hex(8), process, LATEST, life_ms, force
    )
    if version > LATEST:
        problem = (
            f"I2M_REDIS_URL: the store is written in data version {version}, and this release reads up to "
            f"{LATEST}. Start the newer release, or restore a backup into an empty store."
        )
        raise ConfigurationError([problem])
    return Upgrade(head=StoreIdentity(version, store_id.decode()), workers=workers, apis=apis, behind=behind)


class StoreWatch:
    """Keeps one process among the store's readers, and knows the store's head. `process` is unique to it.

    A store that takes no writes is known by what it holds.
    """

    def __init__(self, redis: Redis, process: str) -> None:
        self._redis = redis
        self._process = process
        self.head: StoreIdentity | None = None
        self.changed = asyncio.Event()
        """Set when the head becomes another one; whoever waits for it clears it."""

    async def look(self) -> StoreIdentity:
        """The head as it is now. Raises StoreOutage; ConfigurationError where a newer release writes."""
        try:
            head = (await settle(self._redis, process=self._process)).head
        except StoreOutage:
            head = await self._read()
        if head != self.head:
            self.head = head
            self.changed.set()
            _log.info("store_identified", store_id=head.store_id, data_version=head.version)
        return head

    async def _read(self) -> StoreIdentity:
        """The head of a store that takes no writes. Raises StoreOutage, also where there is none yet."""
        version, store_id = await command(self._redis, "HMGET", key("store"), "version", "id")
        if version is None:
            raise StoreOutage("the store takes no writes, and has no id yet")
        return StoreIdentity(int(version), store_id.decode())

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreOutage as error:
                _log.debug("store_not_identified", error=str(error))
            except ConfigurationError as error:
                _log.error("store_too_new", problems=error.problems)
            await asyncio.sleep(LOOK_S)
