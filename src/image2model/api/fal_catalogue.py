"""What FAL says of its models and their prices, asked at most every 5 minutes however often it is read.

Who calls it: `GET /models`, by the process's state. FAL being down or the key being refused is no error
here: then nothing is said, and FAL is asked again half a minute later.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from image2model.errors import FalError
from image2model.fal.endpoints import ENDPOINTS
from image2model.fal.hosts import FalHosts
from image2model.service.models import FalModel, FalPrice

if TYPE_CHECKING:
    from image2model.fal.wire import ModelEntry, Price

KEPT_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 30.0
_DEADLINE_SECONDS: Final = 4.0
_log: Final = structlog.stdlib.get_logger(__name__)


class FalCatalogue:
    """One answer for all who ask. `key` None: nothing is asked."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._asking = asyncio.Lock()
        self._answer: Mapping[str, FalModel] = {}
        self._ask_at = 0.0

    async def models(self) -> Mapping[str, FalModel]:
        """By endpoint id, at most `KEPT_SECONDS` old; empty where FAL cannot be asked."""
        if self._key is None:
            return {}
        async with self._asking:
            if monotonic() >= self._ask_at:
                self._answer = await self._ask(self._key)
                kept = KEPT_SECONDS if self._answer else _AGAIN_SECONDS
                self._ask_at = monotonic() + kept
            return self._answer

    async def _ask(self, key: str) -> Mapping[str, FalModel]:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                return await _fetch(key, self._hosts)
        except (FalError, TimeoutError) as error:
            _log.warning("fal_catalogue_unavailable", reason=str(error) or "no answer in time")
            return {}


async def _fetch(key: str, hosts: FalHosts) -> Mapping[str, FalModel]:
    """Prices need a key that may see them; the rest is told without. Raises FalError."""
    # The FAL client's HTTP takes a third of a second to import, which no start should wait for.
    from image2model.fal.gateway import FalGateway

    async with FalGateway(key, hosts, max_connections=2) as fal:
        entries = await fal.models_metadata(ENDPOINTS)
        try:
            prices = await fal.prices(ENDPOINTS)
        except FalError as error:
            _log.warning("fal_prices_unavailable", reason=str(error))
            prices = {}
    return {
        endpoint_id: _model(entries.get(endpoint_id), prices.get(endpoint_id))
        for endpoint_id in ENDPOINTS
        if endpoint_id in entries or endpoint_id in prices
    }


def _model(entry: "ModelEntry | None", price: "Price | None") -> FalModel:
    about = entry.metadata if entry else None
    return FalModel(
        name=about.display_name if about else None,
        category=about.category if about else None,
        description=about.description if about else None,
        status=about.status if about else None,
        price=FalPrice(price.unit_price, price.unit, price.currency) if price else None,
    )
