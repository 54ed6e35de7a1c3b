"""The result of a completed request: its files, or the failure that FAL reports instead.

Fetching is repeated within a deadline. A failure to fetch is never taken for a failure of the request.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from image2model.domain import FalRequest
from image2model.errors import FalError, FalRejected, FalResultGone, FalTransient
from image2model.fal.endpoints import CUTOUT, Endpoint
from image2model.fal.errors import (
    FalCancelled,
    FalMessage,
    FalUnfinished,
    FalUnreachable,
    FalUnreadable,
    error_in_output,
    message_of,
)
from image2model.fal.files import FalFile, files_of
from image2model.fal.prices import billable_units
from image2model.fal.wire import Status, decode

if TYPE_CHECKING:  # it imports aiohttp, which an API process loads only when it calls FAL
    from image2model.fal.session import FalSession, Reply

_MAX_DENIALS = 3
_REQUEST_ID = "x-fal-request-id"
"""A header of every reply of FAL itself."""
_LARGE = 1 << 18
"""A larger body is parsed in a thread: it would block the event loop."""
_RETRY_HEADERS: Final = ("x-fal-retryable", "x-fal-needs-retry")
_NOT_NOW: Final = frozenset({401, 403, 408, 425, 429})
_RUNNING: Final = ("IN_QUEUE", "IN_PROGRESS")


class FalResult(msgspec.Struct, frozen=True):
    """The files of a request, the model first where there is one, and FAL's billable units.

    `error` is the error in an output that names no file.
    """

    files: tuple[FalFile, ...]
    billable_units: float | None = None
    error: FalMessage | None = None

    @property
    def model(self) -> FalFile | None:
        """The 3D model, if there is one."""
        return next((file for file in self.files if file.kind == "model"), None)

    @property
    def cutout(self) -> FalFile | None:
        """The picture without its background, where the endpoint removes backgrounds."""
        return next((file for file in self.files if file.kind == CUTOUT), None)


class Results:
    """Fetches results. `deadline`: seconds for all tries of one fetch."""

    def __init__(self, session: "FalSession", *, deadline: float, first_gap: float) -> None:
        self._session = session
        self._deadline = deadline
        self._first_gap = first_gap

    async def fetch(self, endpoint: Endpoint, request: FalRequest) -> FalResult:
        """The result. See `FalGateway.result`."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._deadline
        gap, denials = self._first_gap, 0
        while True:
            from_fal = False
            try:
                reply = await self._session.call("GET", request.response_url)
                from_fal = _REQUEST_ID in reply.headers
                return await result_of(endpoint, reply)
            except (FalResultGone, FalUnreadable, FalTransient) as error:
                # A failure leads to another paid attempt, so what may be a proxy's answer must repeat itself.
                denials += 1
                if denials >= _MAX_DENIALS or (from_fal and isinstance(error, FalTransient)):
                    raise
            except FalUnreachable:
                if clock() + gap > until:
                    raise
            await asyncio.sleep(gap * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            gap = min(gap * 2, 10.0)


async def result_of(endpoint: Endpoint, reply: "Reply") -> FalResult:
    """The result in a reply. Raises as `FalGateway.result` does."""
    if reply.status == 202 or reply.status >= 300:
        raise failure_of(reply)
    output = await parse_output(endpoint, reply.body)
    return msgspec.structs.replace(output, billable_units=billable_units(reply.headers))


async def parse_output(endpoint: Endpoint, body: bytes) -> FalResult:
    """The result in a model's output.

    Raises FalUnreadable, and FalUnfinished where the body is only the state of the request.
    """
    if len(body) > _LARGE:
        return await asyncio.to_thread(_parse, endpoint, body)
    return _parse(endpoint, body)


def failure_of(reply: "Reply") -> FalError:
    """The error for a reply other than 200."""
    status = reply.status
    error = message_of(reply.body, status, reply.headers.get("x-fal-error-type"))
    units = billable_units(reply.headers)
    if status == 202 or (status == 400 and "still in progress" in error.message.lower()):
        return FalUnfinished(error.message, status=status)
    if status in _NOT_NOW or reply.from_ingress or status < 400:
        # The result exists, but it cannot be fetched now, by us, or through this ingress.
        return FalUnreachable(f"the result cannot be fetched: {error.message}", status=status)
    if status in (404, 410):
        return FalResultGone("FAL no longer has the result", status=status, fal_type=error.type)
    if status == 499:
        return FalCancelled(error.message, status=status, fal_type=error.type, billable_units=units)
    lasting = status < 500 and error.type != "downstream_service_error"
    kind = FalTransient if _retryable(reply.headers, default=not lasting) else FalRejected
    return kind(error.message, status=status, fal_type=error.type, billable_units=units)


def has_ended(reply: "Reply") -> bool:
    """Whether the request of this reply has ended, in any way."""
    if reply.status == 200:
        return not is_status(reply.body)
    return reply.status >= 300 and not isinstance(failure_of(reply), (FalUnreachable, FalUnfinished))


def is_status(body: bytes) -> bool:
    """Whether FAL answered with the request's state in place of its result."""
    try:
        return decode(body, Status).status.strip().upper() in _RUNNING
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _parse(endpoint: Endpoint, body: bytes) -> FalResult:
    try:
        output = _load(body)
        files = files_of(endpoint, output)
    except (ValueError, RecursionError) as error:
        raise FalUnreadable(f"the result cannot be read: {error}") from error
    if output is None:
        raise FalUnreadable("the result is null")
    if not files and is_status(body):
        raise FalUnfinished("FAL answered with the state of the request in place of its result")
    return FalResult(files=files, error=None if files else error_in_output(body))


def _load(body: bytes) -> object:
    """The JSON of a result, also with faults of Python servers: NaN, a lone surrogate, invalid UTF-8.

    Raises ValueError, RecursionError.
    """
    try:
        return decode(body, object)
    except msgspec.DecodeError:
        return json.loads(body.decode("utf-8", "replace"))


def _retryable(headers: Mapping[str, str], *, default: bool) -> bool:
    for name in _RETRY_HEADERS:
        if value := headers.get(name):
            return default and value.strip().lower() not in ("0", "false", "no")
    return default
