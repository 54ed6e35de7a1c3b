"""The models on offer, as clients read them: parameters as JSON Schema, prices, and what FAL says now.

Who calls it: `GET /models`. Pure: FAL's answers come in as arguments, and may be missing.
"""

from collections.abc import Mapping

import msgspec

from image2model.fal.endpoints import DEFAULT_MODEL, ENDPOINTS, Endpoint
from image2model.money import to_usd


class FalPrice(msgspec.Struct, frozen=True):
    """What FAL asks for one unit of the endpoint's work, in its own words."""

    unit_price: float
    unit: str | None
    currency: str | None


class FalModel(msgspec.Struct, frozen=True):
    """What FAL says of one endpoint today."""

    name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    price: FalPrice | None = None


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `params` is the JSON Schema of its parameters.

    `price_usd` is for one picture with the default parameters, by our table; null where only the run
    tells. `face_limit` names the parameter that the form's `face_limit` becomes. `fal` is null while FAL
    cannot be asked.
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
    """All models. `pricing`: `fal` where FAL's own prices are in it, `table` where ours are all there is."""

    default: str
    pricing: str
    models: tuple[ModelDocument, ...]


def listing(live: Mapping[str, FalModel]) -> ModelList:
    """The models, the default first. `live`: what FAL says, by endpoint id; empty where it says nothing."""
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
