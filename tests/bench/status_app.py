"""The yardstick of `status`: Starlette answering a constant after one Redis GET."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.product import connect

BODY = b"x" * int(os.environ.get("BENCH_BODY", "10000"))


class State(TypedDict):
    redis: Redis


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[State]:
    async with connect(os.environ["I2M_REDIS_URL"]) as redis:
        yield {"redis": redis}


async def answer(request: Request) -> Response:
    await request.state.redis.get("bench:version")
    return Response(BODY, media_type="application/json")


async def unchanged(request: Request) -> Response:
    await request.state.redis.get("bench:version")
    return Response(status_code=304)


app = Starlette(
    routes=[Route("/answer", answer), Route("/unchanged", unchanged)],
    lifespan=lifespan,
)
