"""The application: settings in, Starlette out. No I/O happens before its lifespan begins.

Who calls it: the server, and tests. Its lifespan owns every connection of the process and yields them as
one typed state; a route finds it by `state_of`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypedDict

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from image2model.api import problems
from image2model.api.document_cache import DocumentCache
from image2model.api.events.relay import EventRelay
from image2model.api.fal_probe import FalProbe
from image2model.api.middleware import (
    AccessLog,
    ProblemAnswers,
    RefusalDrain,
    RequestId,
    SecurityHeaders,
    SiteGuard,
)
from image2model.api.principal import Authenticate, authenticator
from image2model.api.routes import routes
from image2model.api.state import ApiState
from image2model.api.upload import UploadBudget, UploadLimits
from image2model.errors import ConfigurationError
from image2model.fal.hosts import FalHosts
from image2model.settings import Settings
from image2model.storage.address import open_storage
from image2model.store import durability, secret
from image2model.store.connection import connect
from image2model.telemetry.metrics import HTTP_DURATION, HTTP_REQUESTS

_REDIS_TIMEOUT: Final = 2.5
"""Seconds for one command: a client of ours waits for the answer."""
_log: Final = structlog.stdlib.get_logger(__name__)


class Lifespan(TypedDict):
    """What the lifespan yields."""

    api: ApiState


def create_app(settings: Settings) -> Starlette:
    """The application of these settings. Raises ConfigurationError where they cannot be served."""
    authenticate = authenticator(settings)
    if settings.redis_url is None:
        raise ConfigurationError(["I2M_REDIS_URL: the API needs a store; `image2model up` brings its own"])
    limits = UploadLimits(max_files=settings.max_files, max_file_bytes=settings.max_file_bytes)
    return Starlette(
        routes=routes(),
        middleware=_middleware(settings, limits),
        exception_handlers={HTTPException: problems.raise_problem},
        lifespan=_lifespan(settings, settings.redis_url, authenticate, limits),
    )


def _middleware(settings: Settings, limits: UploadLimits) -> list[Middleware]:
    layers = [
        Middleware(RequestId),
        Middleware(AccessLog, requests=HTTP_REQUESTS, duration=HTTP_DURATION),
        Middleware(SecurityHeaders),
        Middleware(RefusalDrain, max_bytes=limits.max_body_bytes),
        Middleware(ProblemAnswers),
    ]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Idempotency-Key", "If-None-Match", "Last-Event-ID"],
                expose_headers=["ETag", "Location", "X-Request-ID", "Retry-After", "Idempotent-Replayed"],
            )
        )
    if settings.auth == "none":
        layers.append(
            Middleware(SiteGuard, allowed_hosts=settings.allowed_hosts, allowed_origins=settings.cors_origins)
        )
    return layers


def _lifespan(
    settings: Settings, redis_url: str, authenticate: Authenticate, limits: UploadLimits
) -> Callable[[Starlette], AbstractAsyncContextManager[Lifespan]]:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[Lifespan]:
        storage = await asyncio.to_thread(open_storage, settings.storage_url)
        hosts = FalHosts.at(settings.fal_base_url)
        async with contextlib.AsyncExitStack() as stack:
            redis = await stack.enter_async_context(connect(redis_url, timeout_s=_REDIS_TIMEOUT))
            await _look_at(redis)
            relay = await stack.enter_async_context(
                EventRelay(redis, redis_url, send_timeout_s=settings.sse_send_timeout)
            )
            yield {
                "api": ApiState(
                    settings=settings,
                    redis=redis,
                    storage=storage,
                    signing_secret=await secret.signing(redis),
                    hosts=hosts,
                    fal_probe=FalProbe(settings.fal_key, hosts),
                    upload_budget=UploadBudget(settings.upload_memory),
                    upload_limits=limits,
                    documents=DocumentCache(),
                    authenticate=authenticate,
                    relay=relay,
                    closers=[relay.close_streams],
                )
            }

    return lifespan


async def _look_at(redis: Redis) -> None:
    """Warn of a store that may lose what it is told. Raises ConfigurationError where there is none."""
    try:
        for warning in await durability.warnings(redis):
            _log.warning("store_not_durable", advice=warning)
    except RedisError as error:
        raise ConfigurationError([f"I2M_REDIS_URL: the store does not answer: {error}"]) from error
