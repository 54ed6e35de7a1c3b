"""The catalogue in tests: read from FAL at once, and copies of one's own making."""

from collections.abc import AsyncIterator, Iterable

import msgspec
from redis.asyncio import Redis

from image2model.catalogue.live import LiveCatalogue
from image2model.catalogue.reading import FalModels
from image2model.catalogue.refresh import Refresher
from image2model.errors import FalError, FalTransient
from image2model.fal.hosts import FalHosts
from image2model.fal.wire import ModelEntry, ModelMetadata, Price


async def refresh(redis: Redis, fal: FalModels, live: LiveCatalogue | None = None) -> bool:
    """Read FAL into the store now, and into `live`. Whether the reading ended."""
    done = await Refresher(redis, live or LiveCatalogue(redis), fal, FalHosts(), None).refresh_if_due(
        every_s=0, retry_s=0
    )
    if live is not None:
        await live.read()
    return done


def document(*fields: str) -> dict[str, object]:
    """The OpenAPI document of an endpoint that takes `image_url` and these optional whole numbers."""
    properties: dict[str, object] = {"image_url": {"type": "string", "title": "Image Url"}}
    properties |= {name: {"type": "integer", "title": name} for name in fields}
    schemas = {
        "Input": {"type": "object", "properties": properties, "required": ["image_url"]},
        "File": {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
        "Output": {
            "type": "object",
            "properties": {"model_mesh": {"$ref": "#/components/schemas/File"}},
            "required": ["model_mesh"],
        },
    }

    def content(name: str) -> dict[str, object]:
        return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    return {
        "openapi": "3.0.4",
        "info": {"title": "Queue OpenAPI", "version": "1.0.0"},
        "components": {"schemas": schemas},
        "paths": {
            "/x": {"post": {"requestBody": content("Input"), "responses": {"200": {"description": "ok"}}}},
            "/x/requests/{request_id}": {"get": {"responses": {"200": content("Output")}}},
        },
    }


class ListedFal:
    """FAL as far as its list of models goes, in memory: `models` by id, `prices` in dollars for a request.

    `truncated`: the category's list ends with an error after its first entries.
    """

    def __init__(self, *models: str, price: float | None = 0.25) -> None:
        self.models: dict[str, object] = {model: document("seed") for model in models}
        self.status: dict[str, str] = {}
        self.prices_usd = dict.fromkeys(models, price) if price is not None else {}
        self.error: FalError | None = None
        self.price_error: FalError | None = None
        self.listed_only: set[str] | None = None
        self.named: list[str] = []
        self.priced: list[str] = []

    def _entry(self, model: str) -> ModelEntry:
        metadata = ModelMetadata(
            display_name=model.title(), category="image-to-3d", status=self.status.get(model, "active")
        )
        return ModelEntry(model, metadata, msgspec.Raw(msgspec.json.encode(self.models[model])))

    async def models_in(self, category: str) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """One entry a page."""
        for model in self.models if category == "image-to-3d" else ():
            if self.listed_only is None or model in self.listed_only:
                yield (self._entry(model),)
        if self.error is not None:
            raise self.error

    async def models_named(self, endpoint_ids: Iterable[str]) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """All in one page."""
        self.named = list(endpoint_ids)
        if self.error is not None:
            raise self.error
        yield tuple(self._entry(model) for model in self.named if model in self.models)

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """Those that have one."""
        self.priced = list(endpoint_ids)
        if self.price_error is not None:
            raise self.price_error
        usd = self.prices_usd
        return {
            one: Price(one, value, "requests", "USD")
            for one in self.priced
            if (value := usd.get(one)) is not None
        }


def unreachable() -> FalError:
    """FAL does not answer."""
    return FalTransient("FAL answers 503", status=503)
