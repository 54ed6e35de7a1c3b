"""What FAL's platform API lists: endpoints by id, category, status or words, page by page; and their prices.

Called by the platform routes.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import QueryParams

from fal_emulator.catalogue import Catalogue
from fal_emulator.endpoints import Endpoint

MAX_IDS: Final = 50
"""FAL takes at most so many ids in one call."""

_EXPANSION: Final = "openapi-3.0"
_LIMIT, _MAX_LIMIT, _MAX_EXPANDED = 50, 100, 25
_STATUSES = frozenset({"active", "deprecated"})
_UPDATED: Final = "2026-11-01T12:00:00Z"
_DATE: Final = "2026-01-15T00:00:00Z"


class ListingError(Exception):
    """The query is refused: why, and with which status."""

    status = 400
    kind = "validation_error"


def model_page(catalogue: Catalogue, query: QueryParams) -> dict[str, object]:
    """One page of `GET /v1/models`. Raises ListingError."""
    expanded = _EXPANSION in query.getlist("expand")
    found = list(_matching(catalogue, query))
    size = min(_limit(query), _MAX_EXPANDED if expanded else _MAX_LIMIT)
    page = _page(query)
    shown = found[(page - 1) * size : page * size]
    more = page * size < len(found)
    return {
        "models": [_model(catalogue, endpoint, expanded=expanded) for endpoint in shown],
        "next_cursor": _cursor(page + 1) if more else None,
        "has_more": more,
    }


def price_page(catalogue: Catalogue, query: QueryParams) -> dict[str, object]:
    """`GET /v1/models/pricing`: endpoints without a price are left out. Raises ListingError."""
    names = _ids(query)
    rows = (catalogue.find(name) for name in names) if names else list(catalogue.rows())[:MAX_IDS]
    prices = [
        {"endpoint_id": row.id, "unit_price": row.price, "unit": row.unit, "currency": "USD"}
        for row in rows
        if row is not None and row.price is not None
    ]
    return {"prices": prices, "next_cursor": None, "has_more": False}


def _ids(query: QueryParams) -> list[str]:
    """The ids in `endpoint_id`, repeated or separated by commas, each once."""
    values = query.getlist("endpoint_id")
    names = list(dict.fromkeys(name for value in values for name in value.split(",") if name))
    if len(names) > MAX_IDS:
        raise ListingError(f"endpoint_id: at most {MAX_IDS} ids, not {len(names)}")
    return names


def _matching(catalogue: Catalogue, query: QueryParams) -> Iterable[Endpoint]:
    names, category, status = _ids(query), query.get("category"), query.get("status")
    words = query.get("q", "").lower()
    if status is not None and status not in _STATUSES:
        raise ListingError(f"status: must be active or deprecated, not {status!r}")
    for row in catalogue.rows():
        if names and row.id not in names:
            continue
        if category not in {None, row.category} or status not in {None, row.status}:
            continue
        if words in f"{row.id} {row.title} {row.description} {row.category}".lower():
            yield row


def _limit(query: QueryParams) -> int:
    try:
        limit = int(query.get("limit", str(_LIMIT)))
    except ValueError:
        limit = 0
    if limit < 1:
        raise ListingError("limit: must be a whole number of at least 1")
    return limit


def _cursor(page: int) -> str:
    return base64.b64encode(str(page).encode()).decode()


def _page(query: QueryParams) -> int:
    """The number of the page that a cursor names, from 1."""
    try:
        return max(1, int(base64.b64decode(query.get("cursor", _cursor(1)), validate=True)))
    except (ValueError, binascii.Error):
        raise ListingError("cursor: is none of ours") from None


def _model(catalogue: Catalogue, endpoint: Endpoint, *, expanded: bool) -> dict[str, object]:
    metadata: dict[str, object] = {
        "display_name": endpoint.title,
        "category": endpoint.category,
        "description": endpoint.description,
        "status": endpoint.status,
        "tags": endpoint.tags,
        "updated_at": _UPDATED,
        "is_favorited": None,
        "model_url": f"https://fal.run/{endpoint.id}",
        "date": _DATE,
        "highlighted": False,
        "pinned": False,
    }
    if endpoint.license is not None:
        metadata["license_type"] = endpoint.license
    model: dict[str, object] = {"endpoint_id": endpoint.id, "metadata": metadata}
    if expanded:
        model["openapi"] = catalogue.openapi(endpoint)
    return model
