"""The documents of models on offer, as the client reads them. Unknown fields are ignored."""

from typing import Any

import msgspec


class Price(msgspec.Struct, frozen=True):
    """FAL's price of one unit of an endpoint's work."""

    unit_price: float
    unit: str | None = None
    currency: str | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """FAL's current description of a model."""

    name: str | None = None
    category: str | None = None
    description: str | None = None
    status: str | None = None
    price: Price | None = None


class ModelPrice(msgspec.Struct, frozen=True):
    """What one picture costs with the default parameters. `source`: `fal`, or the service's own `table`."""

    usd: float
    unit: str = ""
    note: str = ""
    source: str = ""


class ModelInput(msgspec.Struct, frozen=True):
    """A field of the model that takes files, and what for: `picture`, `side`, `views`, `style`, `mask` or
    `model`; `min` to `max` of them (None: no limit is known).
    """

    name: str
    role: str = ""
    side: str | None = None
    required: bool = False
    min: int = 1
    max: int | None = 1
    description: str = ""


class ModelOutput(msgspec.Struct, frozen=True):
    """A field of the model's result that holds files: a `file`, a `list` or an `object` of them."""

    name: str
    shape: str = "file"
    required: bool = False
    fields: tuple[str, ...] = ()
    description: str = ""


class LargestPicture(msgspec.Struct, frozen=True):
    """The largest picture that a model gets: a larger one is made smaller first. None: no limit is known."""

    max_bytes: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_pixels: int | None = None


class Model(msgspec.Struct, frozen=True):
    """One model on offer. `params` is the JSON Schema of its parameters.

    `available`: one picture can run it; `needs` says what it needs otherwise. `price_usd`: one picture with
    the default parameters, None where only the run shows it. `takes_model`: it runs on a finished image, by
    `derive`. `face_limit`: the parameter that
    `submit(face_limit=…)` sets, None where faces cannot be limited. `fal` is None while FAL was never read.
    """

    id: str
    title: str = ""
    default: bool = False
    price_usd: float | None = None
    price_note: str = ""
    face_limit: str | None = None
    params: dict[str, Any] = {}
    fal: Endpoint | None = None
    available: bool = True
    needs: str | None = None
    category: str = ""
    description: str = ""
    license: str | None = None
    price: ModelPrice | None = None
    inputs: tuple[ModelInput, ...] = ()
    outputs: tuple[ModelOutput, ...] = ()
    takes_model: bool = False
    picture_limits: LargestPicture = LargestPicture()


class ModelList(msgspec.Struct, frozen=True):
    """All models that the key may use. `pricing`: `fal` where FAL's own prices are in it, else `table`.
    `source`: `fal`, read at `updated_at`, or `built-in`.
    """

    default: str
    pricing: str = ""
    models: tuple[Model, ...] = ()
    source: str = ""
    updated_at: str | None = None
