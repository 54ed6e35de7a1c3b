"""FAL's platform API: requests found by their input, and a health probe. Its list of models: `models_api`.

These calls cost nothing and change nothing.
"""

from datetime import UTC, datetime

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from image2model.domain import FalRequest
from image2model.errors import FalError
from image2model.fal.endpoints import Endpoint
from image2model.fal.errors import FalUnreachable
from image2model.fal.exchange import Deadlines
from image2model.fal.health import FalHealth, health_of, probe_url
from image2model.fal.results import FalResult, result_of
from image2model.fal.session import FalSession, Reply, decode_reply
from image2model.fal.wire import RequestPage

_MAX_PAGES = 50
_NO_HEADERS = CIMultiDictProxy(CIMultiDict({"x-fal-request-id": "listed"}))
"""Marks a listed result as FAL's own answer, not an ingress's."""
_DEADLINES = Deadlines(total=5)


class Listed(msgspec.Struct, frozen=True):
    """A request in FAL's listing.

    Where it has ended and FAL lists its output: its `result`, or the `failure` that `FalGateway.result`
    raises.
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
        for _ in range(_MAX_PAGES):
            page = await self._page(query)
            for item in page.items:
                if _holds(bytes(item.json_input), image_url):
                    return self._session.hosts.request(endpoint_id, item.request_id)
            if not page.next_cursor:
                return None
            query["cursor"] = page.next_cursor
        return None

    async def look_up(self, endpoint: Endpoint, request: FalRequest) -> Listed | None:
        """One request in the listing. See `FalGateway.look_up`."""
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
            return Listed(ended=True, result=await result_of(endpoint, reply))
        except FalError as failure:
            return Listed(ended=True, failure=failure)

    async def _page(self, query: dict[str, str]) -> RequestPage:
        url = f"{self._session.hosts.api}/models/requests/by-endpoint"
        return decode_reply(await self._session.call("GET", url, params=query), RequestPage)


async def probe(session: FalSession, endpoint_id: str) -> FalHealth:
    """Whether FAL answers and accepts the key."""
    try:
        reply = await session.call("GET", probe_url(session.hosts, endpoint_id), deadlines=_DEADLINES)
    except FalUnreachable as unreachable:
        return FalHealth(ok=False, detail=unreachable.message, reason="unreachable")
    return health_of(endpoint_id, reply.status, reply.body)


def _holds(json_input: bytes, image_url: str) -> bool:
    # The URL is unique to the attempt, so it is enough that the input holds it under any name.
    return image_url.encode() in json_input.replace(rb"\/", b"/")
