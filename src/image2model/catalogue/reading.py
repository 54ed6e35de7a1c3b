"""One reading of FAL's list: the copy that follows from it and from the last good copy.

Documents are decoded and understood page by page, in a thread, and dropped at once: only what was derived is
kept. What FAL does not show, or shows unreadably, stays as it was; see `_kept` for what it no longer lists.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, Protocol

import msgspec
import structlog

from image2model.catalogue.stored import CatalogueCopy
from image2model.errors import FalError, FalTransient
from image2model.fal.endpoints import EndpointSchema, SchemaUnreadable, UnitPrice, derive
from image2model.fal.endpoints.overlay import OVERLAY, REMOVERS
from image2model.fal.wire import ModelEntry, Price, decode

_log: Final = structlog.stdlib.get_logger(__name__)
CATEGORIES: Final = ("image-to-3d", "3d-to-3d")
ACTIVE: Final = "active"
_CURRENCY: Final = "USD"
_MAX_DOCUMENT: Final = 2 << 20
_MAX_DESCRIPTION: Final = 1_000
_MAX_LICENSE: Final = 100
_MAX_ENDPOINTS: Final = 5_000
_RETIRED_KEPT_MS: Final = 60 * 86_400_000
"""Longer than an unfinished image lives, so that it can always be finished."""
_SHOWN: Final = 10


class FalModels(Protocol):
    """The part of FAL's gateway that this module uses."""

    def models_in(self, category: str) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """The pages of a category."""

    def models_named(self, endpoint_ids: Iterable[str]) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """The pages of these endpoints."""

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """Unit prices."""


class _Page(msgspec.Struct, frozen=True):
    """What a page of FAL's list says. `unreadable`: the reason by id."""

    schemas: dict[str, EndpointSchema]
    inactive: tuple[str, ...]
    unreadable: dict[str, str]


async def read(fal: FalModels, before: CatalogueCopy, now_ms: int, *, doubting: bool = True) -> CatalogueCopy:
    """The new copy. Raises FalError where FAL gives no list, or one that cannot be whole.

    `doubting`: a list without most of what was there before is not believed.
    """
    known = {schema.id: schema for schema in before.schemas}
    listed: dict[str, EndpointSchema] = {}
    inactive: set[str] = set()
    unreadable: dict[str, str] = {}

    async def take(pages: AsyncIterator[tuple[ModelEntry, ...]]) -> None:
        async for entries in pages:
            page = await asyncio.to_thread(_understood, entries, known)
            listed.update(page.schemas)
            inactive.update(page.inactive)
            unreadable.update(page.unreadable)
            if len(listed) > _MAX_ENDPOINTS:
                raise FalTransient(f"FAL lists more than {_MAX_ENDPOINTS} endpoints")

    for category in CATEGORIES:
        await take(fal.models_in(category))
    # What a list left out is asked for by name, so that a list cut short retires nothing.
    missing = (known.keys() | OVERLAY.keys()) - listed.keys() - inactive - unreadable.keys()
    await take(fal.models_named(sorted(missing)))
    _log_unreadable(unreadable)
    _check_whole(known, listed.keys() | unreadable.keys(), doubting=doubting)
    for endpoint_id in unreadable.keys() & known.keys():
        listed[endpoint_id] = msgspec.structs.replace(known[endpoint_id], retired_at=None)
    kept = _kept(known, listed, now_ms)
    schemas = tuple(sorted([*listed.values(), *kept], key=lambda schema: schema.id))
    return CatalogueCopy(schemas=schemas, prices=await _prices(fal, listed, before.prices))


def _understood(entries: tuple[ModelEntry, ...], known: Mapping[str, EndpointSchema]) -> _Page:
    """Runs in a thread. A document that is silent about the output leaves the `known` one."""
    page = _Page({}, (), {})
    inactive: list[str] = []
    for entry in entries:
        if (entry.metadata.status or ACTIVE) != ACTIVE:
            inactive.append(entry.endpoint_id)
            continue
        try:
            found = _schema(entry)
            if not found.outputs and entry.endpoint_id in known:
                found = msgspec.structs.replace(found, outputs=known[entry.endpoint_id].outputs)
            page.schemas[entry.endpoint_id] = found
        except (SchemaUnreadable, msgspec.DecodeError) as error:
            page.unreadable[entry.endpoint_id] = str(error)[:300]
    return msgspec.structs.replace(page, inactive=tuple(inactive))


def _schema(entry: ModelEntry) -> EndpointSchema:
    if len(bytes(entry.openapi)) > _MAX_DOCUMENT:
        raise SchemaUnreadable(f"its document is larger than {_MAX_DOCUMENT} bytes")
    document = decode(bytes(entry.openapi), dict[str, object])
    about = entry.metadata
    found = derive(entry.endpoint_id, document, title=about.display_name or "", category=about.category or "")
    return msgspec.structs.replace(
        found,
        source="fal",
        status=about.status or ACTIVE,
        description=(about.description or found.description)[:_MAX_DESCRIPTION],
        license=(about.license_type or "")[:_MAX_LICENSE] or found.license,
    )


def _check_whole(known: Mapping[str, EndpointSchema], listed: Iterable[str], *, doubting: bool) -> None:
    """Raises FalTransient where nothing is listed, or most of what FAL listed last is missing."""
    found = set(listed)
    active = {one.id for one in known.values() if one.source == "fal" and one.retired_at is None}
    gone = active - found
    if not found or (doubting and 2 * len(gone) > len(active) > 1):
        raise FalTransient(f"FAL lists {len(found)} endpoints, and no longer {len(gone)} of {len(active)}")


def _kept(
    known: Mapping[str, EndpointSchema], listed: Mapping[str, EndpointSchema], now_ms: int
) -> list[EndpointSchema]:
    """What FAL no longer lists, or not as active, so that images under way are finished."""
    retired = [
        msgspec.structs.replace(one, retired_at=one.retired_at or now_ms)
        for one in known.values()
        if one.id not in listed
    ]
    for one in retired:
        if known[one.id].retired_at is None and one.source == "fal":
            _log.warning("endpoint_retired", model=one.id)
    # What removes backgrounds is never forgotten: the built-in copy would bring it back as one that works.
    return [
        one for one in retired if one.id in REMOVERS or now_ms - (one.retired_at or now_ms) < _RETIRED_KEPT_MS
    ]


async def _prices(
    fal: FalModels, listed: Iterable[str], before: Mapping[str, UnitPrice]
) -> dict[str, UnitPrice]:
    """FAL's prices; the last good ones where it gives none at all, which a key without the right gets."""
    try:
        found = await fal.prices(listed)
    except FalError as error:
        _log.warning("fal_prices_unavailable", reason=str(error))
        return dict(before)
    usable = {
        price.endpoint_id: UnitPrice(
            unit_price=price.unit_price, unit=price.unit, currency=price.currency or _CURRENCY
        )
        for price in found.values()
        if _usable(price)
    }
    return dict(sorted((usable or dict(before)).items()))


def _usable(price: Price) -> bool:
    return (
        (price.currency or _CURRENCY) == _CURRENCY
        and math.isfinite(price.unit_price)
        and price.unit_price > 0
    )


def _log_unreadable(unreadable: Mapping[str, str]) -> None:
    for endpoint_id, reason in sorted(unreadable.items())[:_SHOWN]:
        _log.warning("endpoint_unreadable", model=endpoint_id, reason=reason)
    if len(unreadable) > _SHOWN:
        _log.warning("endpoints_unreadable", count=len(unreadable))
