"""A client of one event stream that never gives up: it reconnects with its last event's id.

Who calls it: the driver, one for each job and three for the owner: one stays on its replica and waits while
that is down, one moves between the replicas, one reads slowly. It notes every state that it is told.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

import aiohttp
import msgspec

from image2model.client.events import EventParser, ServerSentEvent

FINAL = frozenset({"succeeded", "failed", "cancelled"})
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=20)
_CHUNK = 4096


class State(NamedTuple):
    """What an event says of one image."""

    status: str
    attempt: int
    queue_position: int | None


class Reset(NamedTuple):
    """History no longer reached back to `after`: the stream went on at `at`."""

    after: int
    at: int


@dataclass
class Manner:
    """How a client behaves. `bases`: the replica of each connection in turn.

    `leaves_after_s`: it leaves by itself and goes to the next replica. `bytes_per_s`: it reads no faster than
    that, and now and then not at all for `nap_s`; None: as fast as it comes.
    """

    bases: Iterator[str]
    leaves_after_s: float | None = None
    bytes_per_s: float | None = None
    nap_s: float = 0.0
    nap_every_s: float = 25.0


class Listener:
    """`heard`: the states of each image as they were told. `path` is the stream's, below the API's base."""

    def __init__(self, http: aiohttp.ClientSession, path: str, manner: Manner, *, name: str = "") -> None:
        self.name = name or path
        self.path = path
        self.manner = manner
        self.heard: defaultdict[str, list[State]] = defaultdict(list)
        self.completed: Counter[str] = Counter()
        self.begun_at: int | None = None
        self.resets: list[Reset] = []
        self.connections = 0
        self.faults: list[str] = []
        self._http = http
        self._last_id: int | None = None
        self._over = False
        self._napped_at = monotonic()

    async def run(self) -> None:
        """A job's: until its stream has ended in good order. An owner's stream has no end."""
        while not await self._connect():
            await asyncio.sleep(0.2)

    @property
    def is_owner(self) -> bool:
        """Whether it listens to all jobs."""
        return self.path == "events"

    async def _connect(self) -> bool:
        """Whether there is nothing more to come."""
        headers = {} if self._last_id is None else {"Last-Event-ID": str(self._last_id)}
        self.connections += 1
        self._over = False
        try:
            async with asyncio.timeout(self.manner.leaves_after_s):
                return await self._listen(f"{next(self.manner.bases)}/api/v1/{self.path}", headers)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _listen(self, url: str, headers: dict[str, str]) -> bool:
        async with self._http.get(
            url, headers=headers, timeout=_TIMEOUT, read_bufsize=_CHUNK if self.manner.bytes_per_s else 2**16
        ) as reply:
            if reply.status == 204 and not self.is_owner:
                return True
            if reply.status == 200:
                await self._read(reply)
                return self._over
            if reply.status != 503:
                self.faults.append(f"{self.name}: the stream answered {reply.status}")
            return False

    async def _read(self, reply: aiohttp.ClientResponse) -> None:
        parser = EventParser()
        while chunk := await self._chunk(reply):
            for event in parser.feed(chunk):
                self._take(event)

    async def _chunk(self, reply: aiohttp.ClientResponse) -> bytes:
        speed = self.manner.bytes_per_s
        if speed is None:
            return await reply.content.readany()
        chunk = await reply.content.read(_CHUNK)
        await asyncio.sleep(len(chunk) / speed)
        if self.manner.nap_s and monotonic() - self._napped_at > self.manner.nap_every_s:
            await asyncio.sleep(self.manner.nap_s)
            self._napped_at = monotonic()
        return chunk

    def _take(self, event: ServerSentEvent) -> None:
        number, body = int(event.id), msgspec.json.decode(event.data)
        if event.event == "snapshot":
            self._begin(number, body)
        elif self._last_id is None or number <= self._last_id:
            self.faults.append(f"{self.name} was told event {number} behind event {self._last_id}")
        elif event.event == "image":
            self._note(body["image"])
        else:
            self.completed[body["job_id"]] += 1
        self._last_id = number
        # an owner's stream goes on whatever its last event was: only a job's has an end
        self._over = event.event == "complete" and not self.is_owner

    def _begin(self, number: int, document: dict[str, Any]) -> None:
        if document.get("reset"):
            self.resets.append(Reset(self._last_id or 0, number))
        elif self.begun_at is not None:
            self.faults.append(f"{self.name} was sent a second snapshot, and had event {self._last_id}")
        if self.begun_at is None:
            self.begun_at = number
        for image in document.get("images", ()):
            self._note(image)

    def _note(self, image: dict[str, Any]) -> None:
        self.heard[image["image_id"]].append(state_of(image))


def state_of(image: dict[str, Any]) -> State:
    """The state that an image's entry shows."""
    return State(image["status"], image["attempt"], image["queue_position"])
