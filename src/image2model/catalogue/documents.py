"""The models as clients read them, encoded once for each version of the catalogue.

A caller's answer is put together from the encoded entries of the models that it may use, and kept: the same
question costs nothing again.
"""

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from typing import Final, Literal

import msgspec

from image2model import __version__
from image2model.catalogue import offer
from image2model.catalogue.offer import Patterns
from image2model.fal.endpoints import DEFAULT_MODEL, Catalogue, Endpoint, takes_model, takes_pictures
from image2model.fal.endpoints.schema import Role, Shape
from image2model.http.documents import Moment, moment
from image2model.money import to_usd

_UNIT: Final = "model"
"""All prices that are known before a run are for one picture, which becomes one model."""
_GZIP_LEVEL: Final = 6
_KEPT: Final = 64
"""Answers of one version that are kept, one for each set of patterns."""


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


class ModelInput(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the model that takes files: `min` to `max` of them (null: no limit is known)."""

    name: str
    role: Role
    side: str | None
    required: bool
    min: int
    max: int | None
    description: str


class ModelOutput(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the result that holds files: one, a list, or an object of them."""

    name: str
    shape: Shape
    required: bool
    fields: tuple[str, ...]
    description: str


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What one picture with the default parameters costs, and where that is from."""

    usd: float
    unit: str
    note: str
    source: Literal["fal", "table"]


class LargestPicture(msgspec.Struct, frozen=True, kw_only=True):
    """The largest picture that a model gets: a larger one is made smaller first. Null: no limit."""

    max_bytes: int | None
    max_width: int | None
    max_height: int | None
    max_pixels: int | None


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `params` is the JSON Schema of its parameters, in FAL's order.

    `price_usd` is for one picture with the default parameters; null where only the run shows it. `price`
    says more of it, null where it is not known. `face_limit` names the parameter that the form's `face_limit`
    becomes. `available`: pictures can run it, one or several views of an object; `needs` says what it needs
    where one picture is not enough. `takes_model`: it runs on a finished image, as a second step.
    `picture_limits`: how large a picture it gets. `fal` is null in the built-in copy.
    """

    id: str
    title: str
    default: bool
    available: bool
    needs: str | None
    takes_model: bool
    category: str
    description: str
    license: str | None
    price_usd: float | None
    price_note: str
    price: ModelPrice | None
    face_limit: str | None
    inputs: tuple[ModelInput, ...]
    outputs: tuple[ModelOutput, ...]
    picture_limits: LargestPicture
    params: dict[str, object]
    fal: FalModel | None


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """All models that the caller may use. `source`: whether FAL's list or the built-in copy; `updated_at`:
    when FAL gave it. `pricing`: `fal` where it holds FAL's own prices, `table` where it holds only ours.
    """

    default: str
    pricing: Literal["fal", "table"]
    source: Literal["fal", "built-in"]
    updated_at: Moment | None
    models: tuple[ModelDocument, ...]


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    default: str
    pricing: str
    source: str
    updated_at: Moment | None


class Answer:
    """A whole body, and its ETag."""

    def __init__(self, etag: str, body: bytes) -> None:
        self.etag = etag
        self.body = body
        self._compressed: bytes | None = None

    async def compressed(self) -> bytes:
        """The body compressed by gzip, in a thread when it is first needed: a tenth of it."""
        if self._compressed is None:
            self._compressed = await asyncio.to_thread(gzip.compress, self.body, _GZIP_LEVEL, mtime=0)
        return self._compressed


def document(endpoint: Endpoint) -> ModelDocument:
    """One endpoint as clients read it."""
    schema, live = endpoint.schema, endpoint.unit_price
    micro = endpoint.price({})
    return ModelDocument(
        id=endpoint.id,
        title=endpoint.title,
        default=endpoint.id == DEFAULT_MODEL,
        available=takes_pictures(endpoint),
        needs=endpoint.needs,
        takes_model=takes_model(endpoint),
        category=schema.category,
        description=schema.description,
        license=endpoint.license,
        price_usd=None if micro is None else to_usd(micro),
        price_note=endpoint.price_note,
        price=_price(endpoint, micro),
        face_limit=endpoint.face_limit_param,
        inputs=tuple(
            ModelInput(
                name=one.name,
                role=one.role,
                side=one.side,
                required=one.required,
                min=one.min,
                max=one.max,
                description=one.description,
            )
            for one in schema.inputs
        ),
        picture_limits=LargestPicture(
            **{name: getattr(endpoint.picture_limits, name) for name in LargestPicture.__struct_fields__}
        ),
        outputs=tuple(
            ModelOutput(
                name=one.name,
                shape=one.shape,
                required=one.required,
                fields=one.fields,
                description=one.description,
            )
            for one in schema.outputs
        ),
        params=endpoint.params_schema,
        fal=None
        if schema.source != "fal"
        else FalModel(
            name=schema.title,
            category=schema.category,
            description=schema.description,
            status=schema.status,
            price=None if live is None else FalPrice(live.unit_price, live.unit, live.currency),
        ),
    )


def _price(endpoint: Endpoint, micro: int | None) -> ModelPrice | None:
    if micro is None:
        return None
    source: Literal["fal", "table"] = "fal" if endpoint.price_source == "fal" else "table"
    return ModelPrice(usd=to_usd(micro), unit=_UNIT, note=endpoint.price_note, source=source)


class EncodedModels:
    """The models on offer in one version of the catalogue, the default first. Making it takes a while."""

    def __init__(self, catalogue: Catalogue, service: Patterns) -> None:
        offered = [
            one
            for one in catalogue.endpoints.values()
            if offer.on_offer(one, service) and not one.removes_background
        ]
        offered.sort(key=lambda one: (one.id != DEFAULT_MODEL, one.needs is not None, one.id))
        self.version = catalogue.version
        self._priced = any(one.unit_price is not None for one in offered)
        self._entries = {one.id: msgspec.json.encode(document(one)) for one in offered}
        self._answers: OrderedDict[tuple[int | None, Patterns], Answer] = OrderedDict()
        self._seed = msgspec.json.encode([__version__, catalogue.version, service])

    def one(self, model: str) -> bytes | None:
        """One model's document; None where it is not on offer."""
        return self._entries.get(model)

    def listing(self, catalogue: Catalogue, key: tuple[str, ...]) -> Answer:
        """The list for a key with these patterns. `catalogue` has this version, and knows its age."""
        asked = (catalogue.updated_at, key)
        found = self._answers.get(asked)
        if found is None:
            found = self._answers[asked] = self._listing(catalogue, key)
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return found

    def _listing(self, catalogue: Catalogue, key: tuple[str, ...]) -> Answer:
        entries = [entry for model, entry in self._entries.items() if offer.matches(key, model, default=True)]
        head = msgspec.json.encode(
            _Head(
                default=DEFAULT_MODEL,
                pricing="fal" if self._priced else "table",
                source=catalogue.source,
                updated_at=moment(catalogue.updated_at),
            )
        )
        body = head[:-1] + b',"models":[' + b",".join(entries) + b"]}"
        # Weak, and without the age: a list that was read again and is the same need not travel again.
        digest = hashlib.sha256(self._seed + msgspec.json.encode(key)).hexdigest()[:32]
        return Answer(f'W/"{digest}"', body)


class ModelDocuments:
    """The encoded models of one process. Belongs to one event loop. `service`: `I2M_MODELS`."""

    def __init__(self, service: Patterns) -> None:
        self._service = service
        self._encoding = asyncio.Lock()
        self._encoded: EncodedModels | None = None

    async def of(self, catalogue: Catalogue) -> EncodedModels:
        """The models of this catalogue, encoded in a thread when its version is new."""
        encoded = self._encoded
        if encoded is not None and encoded.version == catalogue.version:
            return encoded
        async with self._encoding:
            if self._encoded is None or self._encoded.version != catalogue.version:
                self._encoded = await asyncio.to_thread(EncodedModels, catalogue, self._service)
            return self._encoded
