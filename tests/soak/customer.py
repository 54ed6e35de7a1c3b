"""One owner's use of the service, for as long as the soak takes: uploads, streams, polls, retries, deletions.

Who calls it: the driver, once for each owner. Whatever the service answers that it should not ends the
customer with an AssertionError, and so is a fault of the run.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Any, Final

import aiohttp

from tests.chaos.forms import Form, draw
from tests.chaos.listener import FINAL, Listener, Manner
from tests.soak.world import Size
from tests.support.sketches import picture

BATCH: Final = 25
_PATIENCE_S: Final = 600.0
"""A job that takes longer on a machine that is busy with something else is no proof of anything."""
_POLL_S: Final = 0.5
_LIST_S: Final = 3.0
_LARGE: Final = (1600, 1200)
_SMALL: Final = (256, 256)


class Customer:
    """`counts`: how often it did what. `http` presents the owner's key; `number` is the owner's."""

    def __init__(self, http: aiohttp.ClientSession, base: str, size: Size, number: int) -> None:
        self.counts: Counter[str] = Counter()
        self._http = http
        self._base = base
        self._size = size
        self._number = number
        self.listeners = [
            Listener(http, "events", Manner(itertools.repeat(base)), name=f"owner {number}'s stream"),
            Listener(
                http,
                "events",
                Manner(itertools.repeat(base), leaves_after_s=4.0),
                name=f"owner {number}'s stream that comes and goes",
            ),
        ]

    async def run(self) -> None:
        """Upload a batch each time one is due, and look after each until it has gone."""
        gap = self._size.owners * BATCH * 60 / self._size.rate
        begun = time.monotonic() + gap * self._number / self._size.owners
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_around())
            for turn in itertools.count():
                await asyncio.sleep(max(0.0, begun + turn * gap - time.monotonic()))
                group.create_task(self._batch(turn))

    def faults(self) -> list[str]:
        """What its streams were told wrongly."""
        return [fault for listener in self.listeners for fault in listener.faults]

    async def _look_around(self) -> None:
        """What a page and a monitor ask for now and then."""
        while True:
            for path in ("jobs", "models", "session"):
                await self._call("GET", path)
            await asyncio.sleep(_LIST_S)

    async def _batch(self, turn: int) -> None:
        form = await asyncio.to_thread(self._form, turn)
        document = await self._call("POST", "upload/batch", status=202, data=form.data())
        self.counts["images"] += form.images
        job_id = document["job_id"]
        document = await self._ended(job_id, self._poll(job_id) if turn % 2 else self._listen(job_id))
        if failed := [image["image_id"] for image in document["images"] if image["status"] == "failed"]:
            await self._call("POST", f"jobs/{job_id}/retry", status=202, json={"image_ids": failed})
            self.counts["images retried"] += len(failed)
            document = await self._ended(job_id, self._poll(job_id))
        await self._download(document)
        if (turn + self._number) % 2:  # the others are left to expire
            await self._call("DELETE", f"jobs/{job_id}", status=204)
            self.counts["jobs deleted"] += 1

    def _form(self, turn: int) -> Form:
        """Two of three batches are photos, one of them large; the third has variants, objects or cut-outs."""
        start = (self._number * 1_000_000 + turn) * BATCH
        if turn % 3 == 2:
            return draw(self._size.seed, start, BATCH)
        files = [
            (
                "files",
                f"{index}.jpg",
                picture(start + index, _SMALL if index else _LARGE, fmt="JPEG", quality=92),
            )
            for index in range(BATCH)
        ]
        return Form(files=files, fields={}, images=BATCH)

    async def _ended(self, job_id: str, waiting: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await waiting
        except TimeoutError:
            raise AssertionError(f"job {job_id} had not ended after {_PATIENCE_S:g} s") from None

    async def _listen(self, job_id: str) -> dict[str, Any]:
        listener = Listener(self._http, f"status/stream/{job_id}", Manner(itertools.repeat(self._base)))
        await listener.run()
        assert not listener.faults, listener.faults
        self.counts["jobs streamed"] += 1
        return await self._call("GET", f"status/{job_id}")

    async def _poll(self, job_id: str) -> dict[str, Any]:
        """The document of a job that has ended. It is asked for as a careful client does, by its tag."""
        url = f"{self._base}/api/v1/status/{job_id}"
        tag = ""
        while True:
            async with self._http.get(url, headers={"If-None-Match": tag} if tag else {}) as reply:
                assert reply.status in (200, 304), (reply.status, await reply.text())
                self.counts["polls"] += 1
                if reply.status == 200:
                    tag, document = reply.headers["ETag"], await reply.json()
                    if all(image["status"] in FINAL for image in document["images"]):
                        return dict(document)
            await asyncio.sleep(_POLL_S)

    async def _download(self, document: dict[str, Any]) -> None:
        """One model, as bytes."""
        done = [image["image_id"] for image in document["images"] if image["status"] == "succeeded"]
        assert done, f"nothing of job {document['job_id']} succeeded"
        async with self._http.get(f"{self._base}/api/v1/download/{document['job_id']}/{done[0]}") as reply:
            assert reply.status == 200, (reply.status, await reply.text())
            assert await reply.read()
        self.counts["downloads"] += 1

    async def _call(self, method: str, path: str, *, status: int = 200, **body: Any) -> dict[str, Any]:
        """The JSON of the answer, empty where it has none. Raises AssertionError for another status."""
        async with self._http.request(method, f"{self._base}/api/v1/{path}", **body) as reply:
            assert reply.status == status, (method, path, reply.status, await reply.text())
            self.counts["calls"] += 1
            return {} if status == 204 else dict(await reply.json())
