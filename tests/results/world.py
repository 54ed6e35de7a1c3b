"""A whole service behind the altering proxy: API and worker processes, a key with a budget, and a client.

Used by the table's tests and its long runs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis

from image2model.access import accounts, keys
from image2model.access.accounts import Allowance, Usage
from tests.results.table import TRIPO
from tests.support.altering_proxy import AlteringProxy, altering_proxy
from tests.support.fleet import Fleet, fleet_on
from tests.support.ports import free_port
from tests.support.sketches import picture

FINAL = frozenset({"succeeded", "failed", "cancelled", "partial"})
_FIELD = {TRIPO: "seed"}
_SETTINGS = {
    "I2M_AUTH": "keys",
    "I2M_UNCONFIRMED_GRACE": "4",  # on a busy machine the second answer comes late
    "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
    "I2M_RATE_LIMIT": "100000/min",
    "I2M_MAX_QUEUED": "100000",
    "I2M_LOG_LEVEL": "info",
    # many at once: what is altered here are results, and a status that lies says nothing of what FAL runs
    "I2M_FAL_CONCURRENCY": "100",
}


@dataclass
class World:
    """The parts, and a session that sends the key."""

    fleet: Fleet
    proxy: AlteringProxy
    http: aiohttp.ClientSession
    owner: str

    @property
    def redis(self) -> Redis:
        return self.fleet.redis

    async def upload(self, number: int, endpoint: str) -> str:
        """One picture of its own, made with a parameter that tells the proxy which it is; the job's id."""
        form = aiohttp.FormData()
        form.add_field("files", picture(number, (24, 16)), filename=f"{number}.png")
        form.add_field("model", endpoint)
        form.add_field("params", json.dumps({_FIELD.get(endpoint, "target_polycount"): number}))
        async with self.http.post("/api/v1/upload/batch", data=form) as reply:
            body = await reply.json()
            assert reply.status == 202, body
            return str(body["job_id"])

    async def image(self, job_id: str) -> dict[str, Any]:
        """The one image of a job, with its job's status and cost."""
        async with self.http.get(f"/api/v1/status/{job_id}") as reply:
            job = await reply.json()
        return {**job["images"][0], "job_status": job["status"], "job_cost_usd": job["cost_usd"]}

    async def ended(self, job_ids: list[str], seconds: float) -> dict[str, dict[str, Any]]:
        """The images of these jobs once all are final. Raises AssertionError that names the others."""
        ends: dict[str, dict[str, Any]] = {}
        until = asyncio.get_running_loop().time() + seconds
        while True:
            for job_id in job_ids:
                if job_id not in ends and (image := await self.image(job_id))["job_status"] in FINAL:
                    ends[job_id] = image
            if len(ends) == len(job_ids) or asyncio.get_running_loop().time() > until:
                return ends
            await asyncio.sleep(0.2)

    async def model(self, job_id: str, image_id: str) -> bytes:
        """The bytes that a client gets, tried a few times: under `redirect` FAL's host may still stutter."""
        for _ in range(5):
            try:
                async with self.http.get(f"/api/v1/download/{job_id}/{image_id}") as reply:
                    content = await reply.read()
                    if reply.status == 200 and content:
                        return content
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.3)
        return b""

    async def retry(self, job_id: str) -> None:
        """Run the failed image again."""
        async with self.http.post(f"/api/v1/jobs/{job_id}/retry") as reply:
            assert reply.status == 202, await reply.text()

    async def usage(self) -> Usage:
        """What the key's owner has used."""
        return await accounts.usage(self.redis, self.owner, Allowance(key="", max_queued=1, budget=None))

    async def spent(self) -> int:
        """Micro-dollars in the spend table."""
        return sum(
            [
                int(micro)
                async for key in self.redis.scan_iter("*spend*")
                for micro in await _values(self.redis, key)
            ]
        )


async def _values(redis: Redis, key: bytes) -> list[bytes]:
    return list((await redis.hgetall(key.decode())).values()) if await redis.type(key) == b"hash" else []


@asynccontextmanager
async def world_on(
    redis_url: str, folder: Path, results: str, emulator_flags: Sequence[str] = (), **more: str
) -> AsyncIterator[World]:
    """API and worker under `I2M_RESULTS`, and the proxy before the emulator; `more` settings by name."""
    async with (
        fleet_on(redis_url, folder, *emulator_flags) as fleet,
        altering_proxy(fleet.emulator.url) as proxy,
    ):
        settings = {**_SETTINGS, "I2M_RESULTS": results, "I2M_FAL_BASE_URL": proxy.url, **more}
        made = await keys.create(fleet.redis, keys.KeyRequest(name="ann", budget="100000.00/total"))
        port = free_port()
        await fleet.start_api(port, **settings)
        fleet.start_worker("tests.results.hasty_worker", **settings)
        headers = {"Authorization": f"Bearer {made.key}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
            yield World(fleet, proxy, http, made.owner)
