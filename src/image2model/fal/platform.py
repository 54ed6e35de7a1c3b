"""FAL's platform API: requests found by their input, prices, what FAL says of its models.

Who calls it: the gateway. These calls cost nothing and change nothing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from image2model.domain import FalRequest
from image2model.errors import FalError
from image2model.fal.endpoints import Endpoint
from image2model.fal.errors import FalUnreachable, blames_account, words_of
from image2model.fal.results import FalResult, judged
from image2model.fal.session import FalSession, Reply, read
from image2model.fal.wire import ModelEntry, ModelList, Price, PriceList, RequestPage

T = TypeVar("T")
_MOST_PAGES = 50
_NO_HEADERS = CIMultiDictProxy(CIMultiDict({"x-fal-request-id": "listed"}))
"""What FAL lists is FAL's own word, no ingress's."""


class Listed(msgspec.Struct, frozen=True):
    """A request in FAL's listing. Where it has ended and FAL lists its output, that is its `result`, or its
    `failure`: what `FalGateway.result` would have raised.
    """

    ended: bool
    result: FalResult | None = None
    failure: FalError | None = None


class Platform:
    """The calls. All raise FalUnreachable, FalTransient or FalAccountFault."""

    def __init__(self, session: FalSession) -> None:
        self._session = session

    async def find(self, endpoint_id: str, image_url: str, since: datetime) -> FalRequest | None:
        """The request whose input holds this URL. See `FalGateway.find_submission`."""
        query = {
            "endpoint_id": endpoint_id,
            "start": since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "expand": "payloads",
            "limit": "100",
        }
        for _ in range(_MOST_PAGES):
            page = await self._page(query)
            for item in page.items:
                if _holds(bytes(item.json_input), image_url):
                    return self._session.hosts.request(endpoint_id, item.request_id)
            if not page.next_cursor:
                return None
            query["cursor"] = page.next_cursor
        return None

    async def look_up(self, endpoint: Endpoint, request: FalRequest) -> Listed | None:
        """What is listed of one request. See `FalGateway.look_up`."""
        query = {
            "endpoint_id": endpoint.id,
            "request_id": request.request_id,
            "expand": "payloads",
            "limit": "1",
        }
        page = await self._page(query)
        item = next((one for one in page.items if one.request_id == request.request_id), None)
        if item is None:
            return None
        output = bytes(item.json_output)
        if output == b"null" or item.status_code is None:
            return Listed(ended=item.ended_at is not None or item.status_code is not None)
        reply = Reply(request.response_url, item.status_code, _NO_HEADERS, output)
        try:
            return Listed(ended=True, result=await judged(endpoint, reply))
        except FalError as failure:
            return Listed(ended=True, failure=failure)

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """FAL's current unit prices by endpoint id; those it does not list are left out."""
        listed = await self._list("models/pricing", endpoint_ids, PriceList)
        return {price.endpoint_id: price for price in listed.prices}

    async def models(self, endpoint_ids: Iterable[str]) -> dict[str, ModelEntry]:
        """What FAL says of these endpoints to people, by endpoint id."""
        listed = await self._list("models", endpoint_ids, ModelList)
        return {model.endpoint_id: model for model in listed.models}

    async def _page(self, query: dict[str, str]) -> RequestPage:
        url = f"{self._session.hosts.api}/models/requests/by-endpoint"
        return read(await self._session.call("GET", url, params=query), RequestPage)

    async def _list(self, path: str, endpoint_ids: Iterable[str], shape: type[T]) -> T:
        query = urlencode([("endpoint_id", endpoint_id) for endpoint_id in endpoint_ids])
        reply = await self._session.call("GET", f"{self._session.hosts.api}/{path}?{query}")
        return read(reply, shape)


def _holds(json_input: bytes, image_url: str) -> bool:
    # The URL is unique to the attempt, so it is enough that the input holds it, under whatever name.
    return image_url.encode() in json_input.replace(rb"\/", b"/")


_TIMEOUT = aiohttp.ClientTimeout(total=5)


class FalHealth(msgspec.Struct, frozen=True):
    """`reason` is what to blame when it is not ok. `endpoint`: a 403 that says nothing about the account, so
    that only an image of another endpoint can tell."""

    ok: bool
    detail: str
    reason: Literal["account", "endpoint", "unreachable"] | None = None


async def probe(session: FalSession, endpoint_id: str) -> FalHealth:
    """Asks for a request that cannot exist: 404 means that FAL is there and knows the key."""
    url = session.hosts.request(endpoint_id, str(uuid4())).status_url
    try:
        reply = await session.call("GET", url, timeout=_TIMEOUT)
    except FalUnreachable as error:
        return FalHealth(ok=False, detail=error.message, reason="unreachable")
    if reply.status == 404:
        return FalHealth(ok=True, detail="FAL answers and accepts the key")
    said = words_of(reply.body, reply.status)
    if reply.status == 403 and not blames_account(said):
        detail = f"FAL answers, and refuses {endpoint_id}: {said.message}"
        return FalHealth(ok=False, detail=detail, reason="endpoint")
    if reply.status in (401, 403):
        return FalHealth(ok=False, detail=f"FAL refuses the key: {said.message}", reason="account")
    return FalHealth(ok=False, detail=f"FAL answers {reply.status}: {said.message}", reason="unreachable")
