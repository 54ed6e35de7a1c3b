"""Which store this is, and which data version is written to it.

A store has an id of its own, so that services on one server never receive each other's notifications, and so
that a process notices when the store behind its URL becomes another one (flushed, restored, failed over to an
older copy). Each API process and worker looks once a second. A store that a newer release writes is never
written.
"""

import asyncio
import secrets
import time
from typing import Final

import msgspec
import structlog
from redis.asyncio import Redis

from image2model.errors import ConfigurationError
from image2model.store.connection import StoreOutage, command
from image2model.store.data_versions import LATEST, subscribed_channels
from image2model.store.keys import Channels, key, own_channels
from image2model.store.naming import BEYOND_PLAIN, ROOT, settle
from image2model.store.scripts import Script

_log: Final = structlog.get_logger(__name__)

REFRESH_S: Final = 1.0
"""How often a process looks at the store."""
_REGISTER_S: Final = 4.0
"""How often it registers as a reader while nothing changes."""
READER_TTL_S: Final = 15.0
"""How long a process counts after its last look, and for how long no process of an earlier release may
have been seen before the version goes up: the TTL of a worker's heartbeat in 8adfc9c."""

_NEGOTIATE: Final = Script("store/negotiate_version")
_CLAIM_NAMES: Final = Script("store/claim_names", ROOT)


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
        """All channels to listen to, the store's own first."""
        return subscribed_channels(self.version, self.store_id)


class Upgrade(msgspec.Struct, frozen=True, kw_only=True, rename={"identity": "head"}):
    """How far a store is on its way to the newest data version, and how many processes hold it back.

    `workers` and `apis` are of 8adfc9c, counted by heartbeats and by channel listeners; the latter include
    those of other services on the same server. `behind` counts processes of releases in between. Once it is
    `done`, `workers` are those of 8adfc9c that run nevertheless: they fail on what they read. In JSON the
    identity is named `head`.
    """

    identity: StoreIdentity
    workers: int
    apis: int
    behind: int

    @property
    def done(self) -> bool:
        """Whether the newest version is written."""
        return self.identity.version == LATEST


async def negotiate(
    redis: Redis, *, process: str = "", force: bool = False, reader_ttl_s: float = READER_TTL_S
) -> Upgrade:
    """Look at the store, make its id if it has none, and raise its data version if no process holds it back.

    `process`: registers this process as one that reads `LATEST`. `force`: does not wait for 8adfc9c.
    `reader_ttl_s`: see READER_TTL_S.
    Raises StoreOutage, and ConfigurationError for a store that a newer release writes.
    """
    await settle_names(redis)
    reader_ttl_ms = int(reader_ttl_s * 1000)
    version, store_id, workers, apis, behind = await _NEGOTIATE.packed(
        redis, secrets.token_hex(8), process, LATEST, reader_ttl_ms, force
    )
    if version > LATEST:
        problem = (
            f"I2M_REDIS_URL: the store is written in data version {version}, and this release reads up to "
            f"{LATEST}. Start the newer release, or restore a backup into an empty store."
        )
        raise ConfigurationError([problem])
    return Upgrade(
        identity=StoreIdentity(version, store_id.decode()), workers=workers, apis=apis, behind=behind
    )


async def settle_names(redis: Redis) -> None:
    """Know how the names of keys are spelled, before the first write to a store that may be new.

    Raises StoreOutage.
    """
    await settle(redis, _claim_names)


async def _claim_names(redis: Redis) -> bool:
    return bool(await _CLAIM_NAMES.packed(redis, BEYOND_PLAIN))


class StoreWatch:
    """Keeps one process registered as a reader of the store, and knows the store's identity.

    `process` is unique to the process. The identity of a store that takes no writes is only read.
    """

    def __init__(self, redis: Redis, process: str) -> None:
        self._redis = redis
        self._process = process
        self._registered_at = -_REGISTER_S
        self.identity: StoreIdentity | None = None
        self.changed = asyncio.Event()
        """Set when the identity changes; the task that waits for it clears it."""

    async def refresh(self) -> StoreIdentity:
        """The present identity. Raises StoreOutage, and ConfigurationError if a newer release writes the
        store."""
        now = time.monotonic()
        identity = await self._read() if now - self._registered_at < _REGISTER_S else None
        if identity is None or identity != self.identity or identity.version < LATEST:
            try:
                identity = (await negotiate(self._redis, process=self._process)).identity
                self._registered_at = now
            except StoreOutage:
                identity = await self._read()
        if identity is None:
            raise StoreOutage("the store takes no writes, and has no id yet")
        if identity != self.identity:
            self.identity = identity
            self.changed.set()
            _log.info("store_identified", store_id=identity.store_id, data_version=identity.version)
        return identity

    async def _read(self) -> StoreIdentity | None:
        """What the store says, if it has an identity. Raises StoreOutage."""
        version, store_id = await command(self._redis, "HMGET", key("store"), "version", "id")
        return None if store_id is None else StoreIdentity(int(version), store_id.decode())

    async def run(self) -> None:
        """Refresh once a second, until cancelled."""
        while True:
            try:
                await self.refresh()
            except StoreOutage as error:
                _log.debug("store_not_identified", error=str(error))
            except ConfigurationError as error:
                _log.error("store_too_new", problems=error.problems)
            await asyncio.sleep(REFRESH_S)
