"""What an API process opens when it starts and closes when it stops.

The lifespan yields one typed state; handlers find it with `state_of`.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Final, TypedDict

import structlog
from redis.asyncio import Redis
from starlette.applications import Starlette

from image2model.access.gates import KeyGate, OpenGate
from image2model.access.lookup import Lookups
from image2model.access.principal import Gate
from image2model.access.rates import RateGuard
from image2model.api.state import ApiState
from image2model.catalogue.documents import ModelDocuments
from image2model.catalogue.live import LiveCatalogue, following
from image2model.events.relay import EventRelay
from image2model.fal.hosts import FalHosts
from image2model.http.upload import UploadBudget, UploadLimits
from image2model.http.write_probe import WriteProbe
from image2model.jobs.accept import LostReplies
from image2model.jobs.advisor import Advisor
from image2model.jobs.thumbnails import Thumbnails
from image2model.operations.fal_probe import FalProbe
from image2model.operations.metrics import LastWork
from image2model.settings import Settings
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store import durability
from image2model.store.connection import connect
from image2model.store.secret import SigningSecret
from image2model.telemetry.tasks import tasks_counted
from image2model.webhooks.fal_callback import FalCallbacks

_REDIS_TIMEOUT: Final = 2.5
"""Seconds for one command, because a client is waiting for the answer."""
_log: Final = structlog.stdlib.get_logger(__name__)


class State(TypedDict):
    """What the lifespan yields; the server puts it into every request's scope."""

    api: ApiState


class Process:
    """The resources of one process. They belong to the event loop that runs the lifespan."""

    def __init__(self, settings: Settings, redis_url: str, limits: UploadLimits) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._limits = limits

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[State]:
        """Open and close the resources. Raises ConfigurationError, StoreOutage."""
        settings = self._settings
        storage = await asyncio.to_thread(open_storage, settings.storage_url)
        redis = connect(self._redis_url, timeout_s=_REDIS_TIMEOUT)
        on_failed = partial(os.kill, os.getpid(), signal.SIGTERM)
        catalogue = LiveCatalogue(redis)
        relay = EventRelay(
            redis,
            self._redis_url,
            send_timeout_s=settings.sse_send_timeout,
            on_failed=on_failed,
            on_catalogue=catalogue.notify,
        )
        async with redis, relay:
            for warning in await durability.warnings(redis):
                _log.warning("store_not_durable", advice=warning)
            async with (
                aclosing(Thumbnails(storage, max_pixels=settings.max_pixels)) as thumbnails,
                aclosing(Advisor(max_pixels=settings.max_pixels)) as advisor,
            ):
                state = await self._state(redis, storage, relay, thumbnails, advisor, catalogue)
                async with following(catalogue, on_failed), tasks_counted("api"):
                    yield {"api": state}
                    await state.lost_replies.finish()

    async def _state(
        self,
        redis: Redis,
        storage: ObjectStorage,
        relay: EventRelay,
        thumbnails: Thumbnails,
        advisor: Advisor,
        catalogue: LiveCatalogue,
    ) -> ApiState:
        hosts = FalHosts.at(self._settings.fal_base_url)
        rates = RateGuard(redis, self._settings.address_rate_limit)
        signing = SigningSecret(redis)
        await signing.get()
        return ApiState(
            settings=self._settings,
            redis=redis,
            storage=storage,
            signing=signing,
            hosts=hosts,
            fal_probe=FalProbe(self._settings.fal_key, hosts),
            last_work=LastWork(redis),
            fal_callbacks=FalCallbacks(self._settings.fal_key, hosts),
            catalogue=catalogue,
            model_documents=ModelDocuments(self._settings.models),
            thumbnails=thumbnails,
            advisor=advisor,
            upload_budget=UploadBudget(self._settings.upload_memory),
            upload_limits=self._limits,
            lost_replies=LostReplies(redis, storage),
            write_probe=WriteProbe(redis),
            gate=_gate(self._settings, redis, rates),
            rates=rates,
            relay=relay,
        )


def _gate(settings: Settings, redis: Redis, rates: RateGuard) -> Gate:
    lookups = Lookups(redis)
    return OpenGate(lookups) if settings.auth == "none" else KeyGate(lookups, rates, settings)
