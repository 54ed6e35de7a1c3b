"""Row: `GET /models` with 500 models in FAL's list, over one connection with a key.

Who calls it: the bench. The process answers from memory; the store is asked for the key alone.
"""

import asyncio
import http.client
import json
import statistics
import sys
import time

from tests.bench import guard, status
from tests.bench.product import connect, make_key
from tests.bench.row import Row, at_most
from tests.bench.world import durable_store
from tests.support.catalogue import ListedFal, refresh
from tests.support.ports import free_port

MODELS = 500


def run(quick: bool) -> list[Row]:
    """Two rows: the whole list, and that it has not changed."""
    with durable_store() as (store, folder):
        key = asyncio.run(_fill(store.url))
        port = free_port()
        settings = {"I2M_PORT": str(port), "I2M_STORAGE_URL": (folder / "files").as_uri(), "I2M_AUTH": "keys"}
        command = [sys.executable, *status.API]
        with status.process(command, port, I2M_REDIS_URL=store.url, **settings):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            etag = _warm(connection, key)
            whole = [_ask(connection, key, 200) for _ in range(50 if quick else 500)]
            same = [_ask(connection, key, 304, etag) for _ in range(50 if quick else 500)]
            connection.close()
    return [
        at_most(f"`GET /models`, {MODELS} models", 1000 * statistics.median(whole), 5, "ms"),
        at_most(f"`GET /models`, {MODELS} models, 304", 1000 * statistics.median(same), 5, "ms"),
    ]


async def _fill(url: str) -> str:
    async with connect(url) as redis:
        assert await refresh(redis, ListedFal(*(f"fal-ai/{number}" for number in range(MODELS))))
        key, _ = await make_key(redis)
    return key


def _warm(connection: http.client.HTTPConnection, key: str) -> str:
    """The ETag of the whole list."""
    connection.request("GET", "/api/v1/models", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    guard.enough("models in the list", len(found["models"]), MODELS, 1)
    return answer.headers["ETag"]


def _ask(connection: http.client.HTTPConnection, key: str, expected: int, etag: str = "") -> float:
    headers = {"Authorization": f"Bearer {key}", **({"If-None-Match": etag} if etag else {})}
    began = time.perf_counter()
    connection.request("GET", "/api/v1/models", headers=headers)
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    assert answer.status == expected, answer.status
    return took
