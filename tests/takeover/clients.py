"""Clients of a service that is being replaced: they upload, and follow every stream to its end.

Who calls it: the rolling restart. What a client could complain of stands in `faults`; a connection that ends
is none, for clients reconnect with the last event's id.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import msgspec

from image2model.client.events import EventParser, ServerSentEvent
from tests.support.sketches import picture

FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
_PAUSE_S: Final = 0.1
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=30)


class Follower:
    """One stream. `ends`: how often each image was told to be final; `completes`: how often each job was.

    `lags`: for each of these ends, how many seconds after it the client heard of it.
    """

    def __init__(self, http: aiohttp.ClientSession, bases: Iterator[str], path: str) -> None:
        self.path = path
        self.ends: Counter[str] = Counter()
        self.completes: Counter[str] = Counter()
        self.lags: list[float] = []
        self.connections = 0
        self.events = 0
        self.faults: list[str] = []
        self._http = http
        self._bases = bases
        self._last_id: int | None = None

    async def run(self, *, until: Callable[["Follower"], bool]) -> None:
        """Until all that is waited for was told, over as many connections as it takes."""
        while not until(self):
            try:
                await self._connect(until)
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(_PAUSE_S)

    async def _connect(self, until: Callable[["Follower"], bool]) -> None:
        headers = {} if self._last_id is None else {"Last-Event-ID": str(self._last_id)}
        url = f"{next(self._bases)}/api/v1/{self.path}"
        async with self._http.get(url, headers=headers, timeout=_TIMEOUT) as reply:
            self.connections += 1
            if reply.status == 200:
                parser = EventParser()
                async for chunk in reply.content.iter_any():
                    for event in parser.feed(chunk):
                        self._take(event)
                    if until(self):
                        return
            elif reply.status != 503:
                self.faults.append(f"{self.path} answered {reply.status}: {await reply.text()}")
        await asyncio.sleep(_PAUSE_S)

    def _take(self, event: ServerSentEvent) -> None:
        document = msgspec.json.decode(event.data)
        number = int(event.id)
        if self._last_id is not None and number <= self._last_id:
            self.faults.append(f"{self.path} got {number} after {self._last_id}")
        self._last_id = number
        self.events += 1
        if event.event == "snapshot":
            if document.get("reset"):
                self.faults.append(f"{self.path} was reset at {number}")
            for image in document.get("images", ()):
                self._tell(image)
        elif event.event == "image":
            self._tell(document["image"])
            self._time(document["image"])
        else:
            self.completes[document["job_id"]] += 1

    def _tell(self, image: dict[str, Any]) -> None:
        if image["status"] in FINAL:
            self.ends[image["image_id"]] += 1

    def _time(self, image: dict[str, Any]) -> None:
        if image["finished_at"]:
            ended = datetime.fromisoformat(image["finished_at"])
            self.lags.append((datetime.now(UTC) - ended).total_seconds())


class Clients:
    """Uploads of `batch` pictures every `gap_s`, a follower for each job and two for the owner."""

    def __init__(
        self, http: aiohttp.ClientSession, bases: list[str], *, batch: int = 3, gap_s: float = 0.25
    ) -> None:
        self.jobs: dict[str, list[str]] = {}
        self.followers: list[Follower] = []
        self.faults: list[str] = []
        self._http = http
        self._bases = bases
        self._batch = batch
        self._gap_s = gap_s
        self._stopping = asyncio.Event()
        self._seeds = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []
        self.owners = [Follower(http, self._from(n), "events") for n in range(len(bases))]

    def start(self) -> None:
        """The owner's streams first, so that they hear of every job."""
        for owner in self.owners:
            self._tasks.append(asyncio.create_task(owner.run(until=self._owner_is_done)))
        self._tasks.append(asyncio.create_task(self._upload_on()))

    async def stop(self, timeout: float = 60) -> None:
        """Upload no more, and wait until every stream has told all. Raises TimeoutError."""
        self._stopping.set()
        async with asyncio.timeout(timeout):
            while self._tasks:
                await self._tasks.pop()

    async def until_completed(self, count: int, timeout: float = 30) -> None:
        """Wait until the owner was told of so many jobs' ends. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while min(len(owner.completes) for owner in self.owners) < count:
                await asyncio.sleep(_PAUSE_S)

    def problems(self) -> list[str]:
        """All that no client may see."""
        found = list(self.faults)
        for follower in (*self.followers, *self.owners):
            found += follower.faults
            found += [
                f"{follower.path} told the end of {i} {n} times" for i, n in follower.ends.items() if n != 1
            ]
            found += [
                f"{follower.path} completed {j} {n} times" for j, n in follower.completes.items() if n != 1
            ]
        return found

    def _from(self, first: int) -> Iterator[str]:
        return itertools.islice(itertools.cycle(self._bases), first, None)

    def _owner_is_done(self, owner: Follower) -> bool:
        return self._stopping.is_set() and len(owner.completes) == len(self.jobs)

    async def _upload_on(self) -> None:
        for number in itertools.count():
            if self._stopping.is_set():
                return
            await self._upload(number)
            await asyncio.sleep(self._gap_s)

    async def _upload(self, number: int) -> None:
        """Until it is accepted, by whichever API; the key makes it one job."""
        pictures = [picture(next(self._seeds), (24, 16)) for _ in range(self._batch)]
        for base in self._from(number):
            form = aiohttp.FormData()
            for index, data in enumerate(pictures):
                form.add_field("files", data, filename=f"{index}.png", content_type="image/png")
            try:
                async with self._http.post(
                    f"{base}/api/v1/upload/batch",
                    data=form,
                    headers={"Idempotency-Key": f"takeover-{number}"},
                ) as reply:
                    document = await reply.json()
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(_PAUSE_S)
                continue
            if reply.status == 202:
                return self._follow(document)
            if reply.status not in (503, 409):
                self.faults.append(f"upload {number} answered {reply.status}: {document}")
                return None
            await asyncio.sleep(_PAUSE_S)
        return None

    def _follow(self, document: dict[str, Any]) -> None:
        job_id = document["job_id"]
        self.jobs[job_id] = [image["image_id"] for image in document["images"]]
        follower = Follower(self._http, self._from(len(self.jobs)), f"status/stream/{job_id}")
        self.followers.append(follower)
        self._tasks.insert(0, asyncio.create_task(follower.run(until=lambda one: one.completes[job_id] > 0)))
