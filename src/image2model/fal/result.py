"""The result of a completed request: its files, or the failure that FAL reports in their place.

Who calls it: the gateway. Fetching is repeated here, within a deadline; a failure to fetch is never
taken for a failure of the request.
"""

import asyncio
import random
from collections.abc import Mapping

import msgspec

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.billing import billable_units
from image2model.fal.endpoints import Endpoint
from image2model.fal.failures import FalCancelled, FalUnfinished, FalUnreachable
from image2model.fal.files import FalFile, files_of
from image2model.fal.session import FalSession, Reply
from image2model.fal.wire import decode
from image2model.fal.words import words_of

_DENIALS = 3
_RETRY_HEADERS = ("x-fal-retryable", "x-fal-needs-retry")


class FalResult(msgspec.Struct, frozen=True):
    """What a request made: its files, the model first where there is one, and FAL's billable units."""

    files: tuple[FalFile, ...]
    billable_units: float | None = None

    @property
    def model(self) -> FalFile | None:
        """The 3D model, if there is one."""
        return next((file for file in self.files if file.kind == "model"), None)


class Results:
    """Fetches results. `deadline`: seconds for all tries of one fetch."""

    def __init__(self, session: FalSession, *, deadline: float, first_gap: float) -> None:
        self._session = session
        self._deadline = deadline
        self._first_gap = first_gap

    async def fetch(self, endpoint: Endpoint, request: FalRequest) -> FalResult:
        """The result. See `FalGateway.result`."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._deadline
        gap, denials = self._first_gap, 0
        while True:
            try:
                return _judge(endpoint, await self._session.call("GET", request.response_url))
            except FalResultGone:
                denials += 1
                if denials >= _DENIALS:
                    raise
            except FalUnreachable:
                if clock() + gap > until:
                    raise
            await asyncio.sleep(gap * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            gap = min(gap * 2, 10.0)


def _judge(endpoint: Endpoint, reply: Reply) -> FalResult:
    if reply.status >= 300:
        raise _failure(reply)
    try:
        output = decode(reply.body, dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FalUnreachable(f"the result cannot be read: {error}", status=reply.status) from error
    return FalResult(files=files_of(endpoint, output), billable_units=billable_units(reply.headers))


def _failure(reply: Reply) -> FalError:
    status = reply.status
    said = words_of(reply.body, status, reply.headers.get("x-fal-error-type"))
    if status in (401, 403, 408, 429) or reply.from_ingress or status < 400:
        # The result exists; it is only not to be had now, by us, or through this ingress.
        return FalUnreachable(f"the result is not to be had: {said.message}", status=status)
    if status == 404:
        return FalResultGone("FAL no longer has the result", status=status, fal_type=said.type)
    if status == 499:
        return FalCancelled(said.message, status=status, fal_type=said.type)
    if status == 400 and "still in progress" in said.message:
        return FalUnfinished(said.message, status=status)
    lasting = status < 500 and said.type != "downstream_service_error"
    kind = FalTransient if _retryable(reply.headers, default=not lasting) else FalRejected
    units = billable_units(reply.headers)
    return kind(said.message, status=status, fal_type=said.type, billable_units=units)


def _retryable(headers: Mapping[str, str], *, default: bool) -> bool:
    for name in _RETRY_HEADERS:
        if value := headers.get(name):
            return default and value.strip().lower() not in ("0", "false", "no")
    return default
