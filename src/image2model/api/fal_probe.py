"""Whether FAL answers, asked at most every 15 s however often health is asked for.

Who calls it: the readiness check. It costs FAL's account nothing and holds no connection between probes.
"""

import asyncio
from time import monotonic
from typing import Final

from image2model.api.check import Check
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.hosts import FalHosts

KEPT_SECONDS: Final = 15.0


class FalProbe:
    """One answer for all who ask. `key` None: nothing is asked, and the answer says so."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._asking = asyncio.Lock()
        self._answer: Check | None = None
        self._asked_at = 0.0

    async def check(self) -> Check:
        """The answer, at most `KEPT_SECONDS` old. Never raises FalError."""
        async with self._asking:
            if self._answer is None or monotonic() - self._asked_at > KEPT_SECONDS:
                self._answer = await self._ask()
                self._asked_at = monotonic()
            return self._answer

    async def _ask(self) -> Check:
        if self._key is None:
            return Check(ok=False, detail="FAL_KEY is not set")
        # The FAL client's HTTP takes a third of a second to import, which no start should wait for.
        from image2model.fal.health import probe
        from image2model.fal.session import FalSession

        session = FalSession(self._key, self._hosts, max_connections=1)
        await session.open()
        try:
            found = await probe(session, DEFAULT_MODEL)
        finally:
            await session.close()
        return Check(found.ok, found.detail)
