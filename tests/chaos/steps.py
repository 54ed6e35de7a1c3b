"""Second steps on models that have come out, while everything else goes wrong.

Who calls it: the uploads. Like them it keeps its idempotency key until there is an answer.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import aiohttp

from tests.chaos.tries import Try

RETEXTURE: Final = "fal-ai/meshy/v5/retexture"
"""It costs what the default model does."""
_DEADLINE: Final = aiohttp.ClientTimeout(total=15)
_PAUSE_S: Final = 0.3
_ONE_IN: Final = 20
"""Of so many images one gets a second step."""
_UNFIT: Final = frozenset({"not_ready", "invalid_parameter", "expired"})
"""The model is no longer there (a late word of FAL has reopened its image), or its format is not taken."""


class SecondSteps:
    """The second steps of a run. `accepted`: the jobs to take models from; `note`: a request begins."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        bases: list[str],
        accepted: Mapping[str, list[str]],
        seed: int,
        note: Callable[[str], Try],
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._note = note
        self._http = http
        self._bases = itertools.cycle(bases)
        self._accepted = accepted
        self._random = Random(seed)
        self._seed = seed
        self._done: set[str] = set()

    async def run(self, most: int, take: Callable[[dict[str, Any]], None]) -> None:
        """Begin `most // 20` second steps; `take` gets each document that was answered 202."""
        while len(self._done) < most // _ONE_IN:
            await asyncio.sleep(_PAUSE_S)
            parent = await self._find()
            if parent is not None:
                self._done.add(parent[1])
                await self._begin(*parent, take)

    async def _find(self) -> tuple[str, str] | None:
        """A job, and an image of it that has a model and no second step yet."""
        if not self._accepted:
            return None
        job_id = self._random.choice(sorted(self._accepted))
        try:
            url = f"{next(self._bases)}/api/v1/status/{job_id}"
            async with self._http.get(url, timeout=_DEADLINE) as reply:
                document = await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        fit = [
            str(image["image_id"])
            for image in document.get("images", [])
            if image["status"] == "succeeded" and image["image_id"] not in self._done
        ]
        return (job_id, self._random.choice(fit)) if fit else None

    async def _begin(self, job_id: str, image_id: str, take: Callable[[dict[str, Any]], None]) -> None:
        headers = {"Idempotency-Key": f"step-{self._seed}-{image_id}"}
        while True:
            this = self._note(next(self._bases))
            url = f"{this.base}/api/v1/jobs/{job_id}/images/{image_id}/derive"
            try:
                async with self._http.post(
                    url, json={"model": RETEXTURE}, headers=headers, timeout=_DEADLINE
                ) as reply:
                    document, status = await reply.json(content_type=None), reply.status
                    this.status = status
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.answers[type(error).__name__] += 1
                await asyncio.sleep(_PAUSE_S)
                continue
            finally:
                this.ended = time.time()
            self.answers[str(status)] += 1
            if status == 202:
                return take(document)
            if document.get("code") in _UNFIT:
                return None
            if status != 503 and document.get("code") != "idempotency_in_progress":
                self.faults.append(f"the second step of {image_id} answered {status}: {document}")
                return None
            await asyncio.sleep(_PAUSE_S)
