"""FAL's public keys, for its callbacks. Who calls it: the route of the callbacks, by the process's state."""

import asyncio
from typing import TYPE_CHECKING, Final

from image2model.fal.hosts import FalHosts

if TYPE_CHECKING:
    from image2model.fal.jwks import JwksCache
    from image2model.fal.wire import Jwks

_LARGE_BODIES: Final = 4
"""Read at once by one process, before anybody knows that they are FAL's."""


class FalCallbacks:
    """FAL's public keys, asked for when the first callback comes: their library takes a while to import."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._cache: JwksCache | None = None
        self.large_bodies = asyncio.Semaphore(_LARGE_BODIES)

    @property
    def keys(self) -> "JwksCache":
        """The cache of this process."""
        if self._cache is None:
            from image2model.fal.jwks import JwksCache

            self._cache = JwksCache(self._fetch)
        return self._cache

    async def _fetch(self) -> "Jwks":
        from image2model.fal.gateway import FalGateway

        async with FalGateway(self._key or "none:none", self._hosts, max_connections=1) as fal:
            return await fal.webhook_keys()
