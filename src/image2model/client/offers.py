"""What the service offers and what it would cost, as the client reads it. Unknown fields are ignored.

Who calls it: programs read them, `AsyncClient` decodes them. Prices are in US dollars.
"""

from typing import Any

import msgspec


class Price(msgspec.Struct, frozen=True):
    """What FAL asks for one unit of an endpoint's work, in its own words."""

    unit_price: float
    unit: str | None = None
    currency: str | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """What FAL says of a model today."""

    name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    price: Price | None = None


class Model(msgspec.Struct, frozen=True):
    """One model on offer. `params` is the JSON Schema of its parameters.

    `price_usd`: one picture with the default parameters, None where only the run tells. `face_limit`: the
    parameter that `submit(face_limit=…)` sets, None where faces cannot be limited. `fal` is None while FAL
    cannot be asked.
    """

    id: str
    title: str = ""
    default: bool = False
    price_usd: float | None = None
    price_note: str = ""
    face_limit: str | None = None
    params: dict[str, Any] = {}
    fal: Endpoint | None = None


class ModelList(msgspec.Struct, frozen=True):
    """All models. `pricing`: `fal` where FAL's own prices are in it, else `table`."""

    default: str
    pricing: str = ""
    models: tuple[Model, ...] = ()


class QuotedImage(msgspec.Struct, frozen=True):
    """The verdict on one picture: `ok`, or the `code` and `detail` that an upload would refuse it with.

    `cached`: its result is there already, and costs nothing. `size` in bytes.
    """

    filename: str
    ok: bool
    code: str | None = None
    detail: str | None = None
    size: int | None = None
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    cached: bool = False
    cost_usd: float | None = None


class Quote(msgspec.Struct, frozen=True):
    """What an upload would cost. `accepted`: whether it would become a job; None: only the run tells."""

    model: str
    accepted: bool
    params: dict[str, Any] = {}
    total: int = 0
    good: int = 0
    bad: int = 0
    cost_usd_each: float | None = None
    total_cost_usd: float | None = None
    price_note: str = ""
    images: tuple[QuotedImage, ...] = ()
