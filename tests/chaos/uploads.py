"""Uploads batches as a careful client does: the same idempotency key until there is an answer.

Who calls it: the driver. What was answered 202 is on its list; nothing else may exist at the end.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable

import aiohttp

from tests.chaos.forms import Form, draw
from tests.chaos.steps import SecondSteps
from tests.chaos.tries import Try

_BATCH = 25
_DEADLINE = aiohttp.ClientTimeout(total=15)


class Uploads:
    """All batches of a run. `accepted`: job id -> its image ids, as the 202 told."""

    def __init__(self, http: aiohttp.ClientSession, bases: list[str], images: int, seed: int) -> None:
        self.accepted: dict[str, list[str]] = {}
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self.tries: list[Try] = []
        self.steps = SecondSteps(http, bases, self.accepted, seed, self._begin)
        self._http = http
        self._bases = itertools.cycle(bases)
        self._images = images
        self._seed = seed

    async def run(self, seconds: float, on_accepted: Callable[[str], None]) -> None:
        """Upload everything, spread over so much time."""
        starts = range(0, self._images, _BATCH)
        gap = seconds / len(starts)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.steps.run(self._images, lambda job: self._accept(job, 1, on_accepted)))
            for start in starts:
                group.create_task(self._batch(start, on_accepted))
                await asyncio.sleep(gap)

    def _begin(self, base: str) -> Try:
        this = Try(base, time.time())
        self.tries.append(this)
        return this

    async def _batch(self, start: int, on_accepted: Callable[[str], None]) -> None:
        count = min(_BATCH, self._images - start)
        form = await asyncio.to_thread(draw, self._seed, start, count)
        while True:
            pause = await self._try(start, form, on_accepted)
            if pause is None:
                return
            await asyncio.sleep(pause)

    async def _try(self, start: int, form: Form, on_accepted: Callable[[str], None]) -> float | None:
        """Seconds until the next try; None when it is accepted, or refused for good."""
        this = self._begin(next(self._bases))
        url = f"{this.base}/api/v1/upload/batch"
        headers = {"Idempotency-Key": f"chaos-{self._seed}-{start}"}
        try:
            async with self._http.post(url, data=form.data(), headers=headers, timeout=_DEADLINE) as reply:
                document = await reply.json(content_type=None)
                status = this.status = reply.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.answers[type(error).__name__] += 1
            return 0.2
        finally:
            this.ended = time.time()
        self.answers[str(status)] += 1
        if status == 202:
            self._accept(document, form.images, on_accepted)
            return None
        if status == 503 or document.get("code") == "idempotency_in_progress":
            return min(float(reply.headers["Retry-After"]), 1.0)
        self.faults.append(f"upload {start} answered {status}: {document}")
        return None

    def _accept(self, document: dict[str, object], count: int, on_accepted: Callable[[str], None]) -> None:
        job_id, images = str(document["job_id"]), document["images"]
        assert isinstance(images, list)
        if len(images) != count:
            self.faults.append(f"job {job_id} holds {len(images)} images of {count}")
        self.accepted[job_id] = [str(image["image_id"]) for image in images]
        on_accepted(job_id)
