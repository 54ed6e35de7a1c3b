"""What an API process has while it runs, made once by its lifespan.

Who calls it: every route, by `state_of`. Routes take what they need from here and keep nothing themselves.
"""

from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from image2model.api.document_cache import DocumentCache
from image2model.api.events import EventRelay
from image2model.api.fal_catalogue import FalCatalogue
from image2model.api.fal_keys import FalCallbacks
from image2model.api.fal_probe import FalProbe
from image2model.api.principal import Authenticate, Gate
from image2model.api.rate_guard import RateGuard
from image2model.api.upload import UploadBudget, UploadLimits
from image2model.api.write_probe import WriteProbe
from image2model.fal.hosts import FalHosts
from image2model.service.thumbnails import Thumbnails
from image2model.service.unsettled import UnsettledBatches
from image2model.settings import Settings
from image2model.storage.objects import ObjectStorage
from image2model.store.secret import SigningSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiState:
    """Shared by all requests of one process."""

    settings: Settings
    redis: Redis
    storage: ObjectStorage
    signing: SigningSecret
    hosts: FalHosts
    fal_probe: FalProbe
    fal_callbacks: FalCallbacks
    fal_catalogue: FalCatalogue
    thumbnails: Thumbnails
    upload_budget: UploadBudget
    upload_limits: UploadLimits
    unsettled: UnsettledBatches
    documents: DocumentCache
    write_probe: WriteProbe
    gate: Gate
    rates: RateGuard
    relay: EventRelay

    @property
    def authenticate(self) -> Authenticate:
        """Who sent a request."""
        return self.gate.authenticate


def state_of(connection: HTTPConnection) -> ApiState:
    """The state of the process that serves this request."""
    return cast("ApiState", connection.scope["state"]["api"])
