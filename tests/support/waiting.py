"""Requests that wait for the end of their job. Who uses it: the tests of `Prefer: wait`."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.multipart_body import CONTENT_TYPE
from tests.support.served_api import BASE, batch
from tests.support.servers import Address
from tests.support.wait import until

LONG = {"Prefer": "wait=50"}
APPLIED = "preference-applied"


@asynccontextmanager
async def client(address: Address) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service that answers there; its addresses are relative to the base path."""
    url = f"http://{address.host}:{address.port}{BASE}/"
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as one:
        yield one


def upload(
    one: httpx.AsyncClient, count: int = 1, *, headers: dict[str, str] = LONG, **fields: str
) -> Coroutine[Any, Any, httpx.Response]:
    """A good batch that waits."""
    given = {"Content-Type": CONTENT_TYPE, **headers}
    return one.post("upload/batch", content=bytes(batch(count, **fields)), headers=given)


async def waiting(one: httpx.AsyncClient, headers: dict[str, str] | None = None) -> int:
    """The requests that wait, by the service's metrics."""
    answer = await one.get(str(one.base_url).removesuffix(f"{BASE}/") + "/metrics", headers=headers)
    name = "image2model_waiting_requests"
    found = [line.split() for line in answer.text.splitlines() if line.startswith(name)]
    return round(sum(float(words[-1]) for words in found))


async def until_waiting(
    one: httpx.AsyncClient, count: int = 1, headers: dict[str, str] | None = None
) -> None:
    """Until so many requests wait. `headers` are for a service that shows its metrics to admins."""

    async def reached() -> bool:
        return await waiting(one, headers) == count

    await until(reached)


@asynccontextmanager
async def begun(
    one: httpx.AsyncClient,
    request: Coroutine[Any, Any, httpx.Response],
    *,
    count: int = 1,
    headers: dict[str, str] | None = None,
) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
    """The request while `count` requests wait; the answer must come soon after the end of the block."""
    task = asyncio.create_task(request)
    try:
        await until_waiting(one, count, headers)
        assert not task.done()
        yield task
        await asyncio.wait_for(task, 20)
    finally:
        task.cancel()
