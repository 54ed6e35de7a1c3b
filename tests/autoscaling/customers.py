"""Uploads over HTTP at their times, and what became of each image by the service and by FAL's ledger.

Who calls it: the driver. An answer that is no 202 is a fault of the run.
"""

import asyncio
import time
from datetime import datetime
from typing import Any, Final

import aiohttp

from tests.autoscaling.day import Upload
from tests.autoscaling.record import Image
from tests.autoscaling.world import World
from tests.support.sketches import picture

_SIDES: Final = (256, 256)
_EACH_WITH_WEBHOOK: Final = 5
_LOOK_S: Final = 0.5
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


class Customers:
    """`accepted`: by job, when its 202 had arrived, by the wall clock. `faults`: a sentence each."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self.accepted: dict[str, float] = {}
        self.faults: list[str] = []
        self._world = world
        self._http = http
        self._documents: dict[str, dict[str, Any]] = {}

    async def upload(self, number: int, one: Upload) -> None:
        """Send it. Every fifth upload has a webhook, so that these are work too."""
        form = aiohttp.FormData({"no_cache": "true"})
        if number % _EACH_WITH_WEBHOOK == 0:
            form.add_field("webhook_url", self._world.hook)
        for index in range(one.files):
            data = await asyncio.to_thread(picture, one.seed + index, _SIDES, fmt="JPEG")
            form.add_field("files", data, filename=f"{index}.jpg", content_type="image/jpeg")
        try:
            async with self._http.post(f"{self._world.base}/api/v1/upload/batch", data=form) as reply:
                document = await reply.json(content_type=None)
                at = time.time()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.faults.append(f"an upload had no answer: {error!r}")
            return
        if reply.status != 202:
            self.faults.append(f"an upload had {reply.status}: {document}")
            return
        self.accepted[document["job_id"]] = at

    async def until_all_ended(self, patience: float) -> None:
        """Wait for the end of every job that was accepted; what has none by then is seen as it is."""
        deadline = time.monotonic() + patience
        for job_id in self.accepted:
            while True:
                document = await self._status(job_id)
                self._documents[job_id] = document
                if all(image["status"] in _ENDED for image in document["images"]):
                    break
                if time.monotonic() > deadline:
                    self.faults.append(f"job {job_id} had no end {patience:g} s after the day's")
                    break
                await asyncio.sleep(_LOOK_S)

    def images(self, begun: float, factor: float) -> list[Image]:
        """Every accepted image. `begun`: the day's midnight by the wall clock."""
        at_fal: dict[str, list[float]] = {}
        for entry in self._world.fleet.emulator.submissions():
            at = datetime.fromisoformat(entry["accepted_at"]).timestamp()
            at_fal.setdefault(entry["tags"].get("i2m.image", ""), []).append(at)
        found = []
        for job_id, document in self._documents.items():
            accepted = self.accepted[job_id]
            for image in document["images"]:
                times = at_fal.get(image["image_id"], [])
                # FAL may have it before the 202 has arrived
                wait = max(min(times) - accepted, 0.0) if times else None
                code = (image.get("error") or {}).get("code", "")
                found.append(Image((accepted - begun) * factor, image["status"], code, wait, len(times)))
        return found

    async def _status(self, job_id: str) -> dict[str, Any]:
        async with self._http.get(f"{self._world.base}/api/v1/status/{job_id}") as reply:
            assert reply.status == 200, (reply.status, await reply.text())
            return dict(await reply.json())
