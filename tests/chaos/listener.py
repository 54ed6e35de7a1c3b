"""A client of one event stream that never gives up: it reconnects, anywhere, with its last event's id.

Who calls it: the driver, one for each job and a few for the owner. It counts every outcome it is told.
"""

import asyncio
import itertools
from collections import Counter
from typing import Any, NamedTuple

import aiohttp
import msgspec

from image2model.client.sse import EventParser, ServerSentEvent

FINAL = frozenset({"succeeded", "failed", "cancelled"})
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=20)


class Outcome(NamedTuple):
    """One end of one attempt."""

    image_id: str
    attempt: int
    status: str


class Listener:
    """`told`: how often each outcome was told. `path` is the stream's, below the API's base."""

    def __init__(self, http: aiohttp.ClientSession, bases: list[str], path: str, first: int) -> None:
        self.path = path
        self.told: Counter[Outcome] = Counter()
        self.resets = 0
        self.connections = 0
        self.faults: list[str] = []
        self._http = http
        self._bases = itertools.islice(itertools.cycle(bases), first, None)
        self._last_id: str | None = None
        self._completed = False

    async def run(self) -> None:
        """Until the stream of a finished job has ended in good order; an owner's never does."""
        while not await self._connect():
            await asyncio.sleep(0.2)

    async def _connect(self) -> bool:
        """Whether there is nothing more to come."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        self.connections += 1
        self._completed = False
        try:
            url = f"{next(self._bases)}/api/v1/{self.path}"
            async with self._http.get(url, headers=headers, timeout=_TIMEOUT) as reply:
                if reply.status == 204:
                    return True
                if reply.status == 200:
                    await self._read(reply)
                    return self._completed
                if reply.status != 503:
                    self.faults.append(f"{self.path} answered {reply.status}")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        return False

    async def _read(self, reply: aiohttp.ClientResponse) -> None:
        parser = EventParser()
        async for chunk in reply.content.iter_any():
            for event in parser.feed(chunk):
                self._take(event)

    def _take(self, event: ServerSentEvent) -> None:
        self._last_id = event.id
        self._completed = event.event == "complete"
        if event.event == "image":
            self._tell(msgspec.json.decode(event.data)["image"])
        elif event.event == "snapshot":
            self._begin(msgspec.json.decode(event.data))

    def _begin(self, document: dict[str, Any]) -> None:
        self.resets += bool(document.get("reset"))
        for image in document.get("images", ()):
            if image["status"] in FINAL and not self.told[outcome_of(image)]:
                self._tell(image)

    def _tell(self, image: dict[str, Any]) -> None:
        if image["status"] in FINAL:
            self.told[outcome_of(image)] += 1


def outcome_of(image: dict[str, Any]) -> Outcome:
    """The outcome that an image's entry shows."""
    return Outcome(image["image_id"], image["attempt"], image["status"])
