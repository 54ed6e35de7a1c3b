"""The models on offer, as clients read them: parameters as JSON Schema, prices, and FAL's current metadata.

FAL's metadata may be missing: the list is complete without it, by our own table.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from image2model.errors import FalError
from image2model.fal.endpoints import DEFAULT_MODEL, ENDPOINTS, Endpoint
from image2model.fal.hosts import FalHosts
from image2model.money import to_usd

if TYPE_CHECKING:
    from image2model.fal.wire import ModelEntry, Price


KEPT_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 30.0
_DEADLINE_SECONDS: Final = 4.0
_log: Final = structlog.stdlib.get_logger(__name__)


class FalPrice(msgspec.Struct, frozen=True):
    """FAL's price for one unit of the endpoint's work, by FAL's own names."""

    unit_price: float
    unit: str | None
    currency: str | None


class FalModel(msgspec.Struct, frozen=True):
    """FAL's current metadata of one endpoint."""

    name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    price: FalPrice | None = None


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `params` is the JSON Schema of its parameters.

    `price_usd` is for one picture with the default parameters, by our table; null where only the run
    shows it. `face_limit` names the parameter that the form's `face_limit` becomes. `fal` is null while FAL
    does not answer.
    """

    id: str
    title: str
    default: bool
    price_usd: float | None
    price_note: str
    face_limit: str | None
    params: dict[str, object]
    fal: FalModel | None


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """All models. `pricing`: `fal` where it holds FAL's own prices, `table` where it holds only ours."""

    default: str
    pricing: str
    models: tuple[ModelDocument, ...]


def listing(live: Mapping[str, FalModel]) -> ModelList:
    """The models, the default first. `live`: FAL's metadata by endpoint id; may be empty."""
    priced = any(model.price for model in live.values())
    return ModelList(
        default=DEFAULT_MODEL,
        pricing="fal" if priced else "table",
        models=tuple(_document(endpoint, live.get(endpoint.id)) for endpoint in ENDPOINTS.values()),
    )


def _document(endpoint: Endpoint, live: FalModel | None) -> ModelDocument:
    price = endpoint.price({})
    return ModelDocument(
        id=endpoint.id,
        title=endpoint.title,
        default=endpoint.id == DEFAULT_MODEL,
        price_usd=None if price is None else to_usd(price),
        price_note=endpoint.price_note,
        face_limit=endpoint.face_limit_param,
        params=endpoint.params_schema,
        fal=live,
    )


class FalCatalogue:
    """FAL's metadata, fetched once for all requests. `key` None: nothing is fetched."""

    def __init__(self, key: str | None, hosts: FalHosts) -> None:
        self._key = key
        self._hosts = hosts
        self._fetching = asyncio.Lock()
        self._models: Mapping[str, FalModel] = {}
        self._fetch_at = 0.0

    async def models(self) -> Mapping[str, FalModel]:
        """By endpoint id, at most `KEPT_SECONDS` old; empty where FAL does not answer."""
        if self._key is None:
            return {}
        async with self._fetching:
            if monotonic() >= self._fetch_at:
                self._models = await self._fetch(self._key)
                self._fetch_at = monotonic() + (KEPT_SECONDS if self._models else _RETRY_SECONDS)
            return self._models

    async def _fetch(self, key: str) -> Mapping[str, FalModel]:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                return await _fetch_metadata(key, self._hosts)
        except (FalError, TimeoutError) as error:
            _log.warning("fal_catalogue_unavailable", reason=str(error) or "no answer in time")
            return {}


async def _fetch_metadata(key: str, hosts: FalHosts) -> Mapping[str, FalModel]:
    """Prices need a key that may see them; the rest needs none. Raises FalError."""
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
