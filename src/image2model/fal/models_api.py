"""FAL's list of endpoints, their prices, and the account's balance, by the platform API.

These calls cost nothing and change nothing. Each has FAL's usual deadline and size limit; large pages are
decoded in a thread. All raise FalUnreachable, FalTransient or FalAccountFault.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import urlencode

from image2model.errors import FalTransient
from image2model.fal.session import FalSession, decode_reply
from image2model.fal.wire import Billing, Credits, ModelEntry, ModelList, Price, PriceList

LOT: Final = 50
"""FAL answers at most so many named endpoints at once."""
_MAX_PAGES: Final = 200
_NOT_FOUND: Final = 404
_DOCUMENTS: Final = ("expand", "openapi-3.0")
_Query = Sequence[tuple[str, str]]


class ModelsApi:
    """The calls. `session` belongs to the gateway."""

    def __init__(self, session: FalSession) -> None:
        self._session = session

    async def in_category(self, category: str) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """All pages of a category, with OpenAPI documents. Raises FalTransient where the listing has no end.

        The caller must read to the end: a listing that broke off says nothing of the endpoints behind.
        """
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_MAX_PAGES):
            query = [("category", category), _DOCUMENTS]
            page = await self._models([*query, ("cursor", cursor)] if cursor else query)
            yield page.models
            if not page.next_cursor:
                if page.has_more:
                    raise FalTransient(f"FAL's list of {category} says that it has more, and not where")
                return
            if page.next_cursor in seen:
                break
            seen.add(cursor := page.next_cursor)
        raise FalTransient(f"FAL's list of {category} has no end")

    async def named(self, endpoint_ids: Iterable[str]) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """These endpoints, with OpenAPI documents; those that FAL does not know are left out."""
        waiting = list(_lots(endpoint_ids))
        while waiting:
            lot = waiting.pop()
            page = await self._known([("endpoint_id", one) for one in lot])
            if page is not None:
                yield page.models
            elif len(lot) > 1:  # one that FAL does not know may spoil the answer for all
                middle = len(lot) // 2
                waiting += [lot[:middle], lot[middle:]]

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """Unit prices by endpoint id; those that FAL does not list are left out."""
        found: dict[str, Price] = {}
        for lot in _lots(endpoint_ids):
            query = [("endpoint_id", one) for one in lot]
            reply = await self._session.call("GET", f"{self._api}/models/pricing{_text(query)}")
            listed = decode_reply(reply, PriceList)
            found |= {price.endpoint_id: price for price in listed.prices}
        return found

    async def credits(self) -> Credits | None:
        """The account's balance; None where FAL tells none. Needs a session with an admin key."""
        reply = await self._session.call("GET", f"{self._api}/account/billing", params={"expand": "credits"})
        return decode_reply(reply, Billing).credits

    @property
    def _api(self) -> str:
        return self._session.hosts.api

    async def _models(self, query: _Query) -> ModelList:
        reply = await self._session.call("GET", f"{self._api}/models{_text(query)}")
        return await asyncio.to_thread(decode_reply, reply, ModelList)

    async def _known(self, query: _Query) -> ModelList | None:
        reply = await self._session.call("GET", f"{self._api}/models{_text([*query, _DOCUMENTS])}")
        if reply.status == _NOT_FOUND:
            return None
        return await asyncio.to_thread(decode_reply, reply, ModelList)


def _lots(endpoint_ids: Iterable[str]) -> Iterator[list[str]]:
    every = list(dict.fromkeys(endpoint_ids))
    for start in range(0, len(every), LOT):
        yield every[start : start + LOT]


def _text(query: _Query) -> str:
    return f"?{urlencode(query)}"
