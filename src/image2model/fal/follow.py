"""Follows a request at FAL until it has ended, by its event stream and by polling, and cancels requests.

A failure to read the status says nothing about the request: it is tried again. Only the result shows how a
request ended.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from enum import StrEnum
from typing import Final, Self

import aiohttp
import msgspec

from image2model.domain import FalRequest
from image2model.errors import FalResultGone
from image2model.fal.errors import FalUnreachable, message_of, reported_error
from image2model.fal.results import has_ended
from image2model.fal.session import FalSession, Observer, network_faults, observed
from image2model.fal.wire import CancelStatus, Status, decode

_END_WORDS: Final = frozenset(
    (
        *("ABORTED", "CANCELED", "CANCELLED", "COMPLETE", "COMPLETED_WITH_ERROR", "COMPLETED_WITH_ERRORS"),
        *("DEAD", "DONE", "ENDED", "ERROR", "ERRORED", "EXPIRED", "FAIL", "FAILED", "FAILURE", "FINISHED"),
        *("KILLED", "OK", "REJECTED", "SUCCEEDED", "SUCCESS", "SUCCESSFUL", "TERMINATED", "TIMEDOUT"),
        *("TIMED_OUT", "TIMEOUT"),
    )
)
"""Public clients of FAL report some of these, although FAL documents none."""
_STREAM_BUFFER = 1 << 14  # aiohttp refuses lines of more than twice this


class FalStatus(StrEnum):
    """FAL's three states, and three of our own.

    COMPLETED: the request has ended; only the result shows how. ENDED: any other word that sounds like an
    end; only the result shows whether it is one. UNCLEAR: such a word, and there is no result. DENIED: FAL
    reports that it does not know the request.
    """

    QUEUED = "IN_QUEUE"
    RUNNING = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    ENDED = "ENDED"
    UNCLEAR = "UNCLEAR"
    DENIED = "DENIED"


class FalUpdate(msgspec.Struct, frozen=True):
    """One change. `queue_position` is FAL's, 0 for the next one; `error` is set on a failed end."""

    status: FalStatus
    queue_position: int | None = None
    error: str | None = None
    error_type: str | None = None

    @classmethod
    def of(cls, status: Status) -> Self | None:
        """The update in a status of FAL; None for an unknown status word."""
        known = _status_of(status.status)
        if known is None:
            return None
        error = reported_error(status.error, status.error_type)
        return cls(
            status=known,
            queue_position=_position(status.queue_position) if known is FalStatus.QUEUED else None,
            error=error.message or error.type if error else None,
            error_type=error.type if error else None,
        )


_MAYBE_ENDED: Final = FalUpdate(FalStatus.ENDED)
"""Stands for a status that cannot be understood."""


class FollowPace(msgspec.Struct, frozen=True):
    """All in seconds. FAL sends a comment every 15 s, so a stream silent for `idle` is dead.

    `quiet`: a stream that sends only comments for this long may have lost an event, so the status is polled
    once. `grace`: how long FAL may deny knowing a request before that is believed, because FAL's parts need
    not agree at once. `settle`: how long no status was understood until the result is fetched instead, and
    the pause until the next such fetch.
    """

    idle: float = 45.0
    first_gap: float = 1.0
    longest_gap: float = 10.0
    stream_again: float = 30.0
    quiet: float = 120.0
    grace: float = 120.0
    settle: float = 10.0


class Follower:
    """Follows any number of requests at once."""

    def __init__(self, session: FalSession, observer: Observer, pace: FollowPace) -> None:
        self._session = session
        self._observer = observer
        self._pace = pace
        # One object for every stream: aiohttp reads it, never writes it.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=pace.idle)

    async def follow(self, request: FalRequest) -> AsyncGenerator[FalUpdate, None]:
        """Yields each change of state, COMPLETED last, and each denial. See `FalGateway.follow`."""
        seen: FalUpdate | None = None
        async with aclosing(self._updates(request)) as updates:
            async for found in updates:
                update = found
                if update.status is FalStatus.ENDED:
                    ended = await self._has_ended(request)
                    if not ended and found is _MAYBE_ENDED:
                        continue
                    status = FalStatus.COMPLETED if ended else FalStatus.UNCLEAR
                    update = msgspec.structs.replace(update, status=status)
                if update == seen and update.status is not FalStatus.DENIED:
                    continue
                seen = update
                yield update
                if update.status is FalStatus.COMPLETED:
                    return

    async def _has_ended(self, request: FalRequest) -> bool:
        """Whether FAL has a result, or an error in its place. Otherwise the next status decides again."""
        try:
            with observed(self._observer, "result"):
                reply = await self._session.call("GET", request.response_url)
        except FalUnreachable:
            return False
        return has_ended(reply)

    async def _updates(self, request: FalRequest) -> AsyncGenerator[FalUpdate, None]:
        state = _FollowState(self._pace)
        while True:
            async with aclosing(self._streamed(request, state)) as updates:
                async for update in updates:
                    yield update
            async with aclosing(self._polled(request, state)) as updates:
                async for update in updates:
                    yield update

    async def _streamed(self, request: FalRequest, state: "_FollowState") -> AsyncGenerator[FalUpdate, None]:
        url = f"{request.status_url}/stream"
        state.quiet = False
        with suppress(FalUnreachable, msgspec.DecodeError), observed(self._observer, "stream"):
            async with aclosing(self._events(url, state)) as events:
                async for update in events:
                    state.reset()
                    yield update
            if state.quiet:
                return
            raise FalUnreachable(f"{url} ended before the request did")

    async def _events(self, url: str, state: "_FollowState") -> AsyncGenerator[FalUpdate, None]:
        async with self._session.exchange(
            "GET",
            url,
            params={"logs": "0"},
            headers={**self._session.key_headers(url), "Accept": "text/event-stream"},
            timeout=self._timeout,
            read_bufsize=_STREAM_BUFFER,
        ) as response:
            state.check(response.status, url)
            unknown = False
            with network_faults(url):
                async for line in response.content:
                    if line.startswith(b"data:"):
                        update = _update(line[5:])
                        unknown = update is None
                        if update is not None:
                            yield update
                    if unknown and state.is_stale():
                        raise FalUnreachable(f"{url} sends no status that is understood")
                    state.quiet = state.silent_for() >= self._pace.quiet
                    if state.quiet:
                        return

    async def _polled(self, request: FalRequest, state: "_FollowState") -> AsyncGenerator[FalUpdate, None]:
        clock = asyncio.get_running_loop().time
        until = clock() + self._pace.stream_again
        while clock() < until:
            await asyncio.sleep(state.gap())
            if update := await self._poll(request, state):
                state.understood()
                yield update
                if state.quiet:
                    return  # the stream has lost no event
            elif state.take_stale():
                yield _MAYBE_ENDED  # the result decides

    async def _poll(self, request: FalRequest, state: "_FollowState") -> FalUpdate | None:
        try:
            with observed(self._observer, "status"):
                reply = await self._session.call("GET", request.status_url, params={"logs": "0"})
                state.check(reply.status, request.status_url)
                return _update(reply.body)
        except FalUnreachable as error:
            return FalUpdate(FalStatus.DENIED) if error.status == 404 else None
        except msgspec.DecodeError:
            return None


class _FollowState:
    """The state of following one request: the polling gap, and since when FAL denies knowing the request."""

    def __init__(self, pace: FollowPace) -> None:
        self._pace = pace
        self._gap = pace.first_gap
        self._denied_at: float | None = None
        self._understood_at = asyncio.get_running_loop().time()
        self.quiet = False

    def gap(self) -> float:
        """Seconds until the next poll: growing, jittered so that a thousand do not come at once."""
        gap = self._gap
        self._gap = min(gap * 1.6, self._pace.longest_gap)
        return gap * random.uniform(0.5, 1.25)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """FAL answered: start with short gaps again, and forget its denials."""
        self._gap = self._pace.first_gap
        self._denied_at = None
        self.understood()

    def understood(self) -> None:
        """A status was read and understood."""
        self._understood_at = asyncio.get_running_loop().time()

    def is_stale(self) -> bool:
        """Whether no status was understood for so long that the result should be fetched."""
        return self.silent_for() >= self._pace.settle

    def silent_for(self) -> float:
        """Seconds since a status was understood."""
        return asyncio.get_running_loop().time() - self._understood_at

    def take_stale(self) -> bool:
        """`is_stale`, once for each such period."""
        if not self.is_stale():
            return False
        self.understood()
        return True

    def check(self, status: int, url: str) -> None:
        """Raises FalUnreachable where another try may help, FalResultGone once FAL insists on 404."""
        if status in (200, 202):
            self._denied_at = None
            return
        if status == 404:
            self._deny()
        if status in (401, 403):
            self._gap = self._pace.longest_gap
        raise FalUnreachable(f"{url} answered {status}", status=status)

    def _deny(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._denied_at is None:
            self._denied_at = now
            self._gap = self._pace.first_gap
        if now - self._denied_at >= self._pace.grace:
            raise FalResultGone("FAL does not know this request, or no longer keeps it", status=404)


class CancelReply(StrEnum):
    """FAL's three answers."""

    REQUESTED = "CANCELLATION_REQUESTED"
    ALREADY_COMPLETED = "ALREADY_COMPLETED"
    NOT_FOUND = "NOT_FOUND"


_BY_STATUS = {
    200: CancelReply.REQUESTED,
    202: CancelReply.REQUESTED,
    400: CancelReply.ALREADY_COMPLETED,
    404: CancelReply.NOT_FOUND,
}


async def cancel(session: FalSession, request: FalRequest) -> CancelReply:
    """FAL's answer; a second call does no harm. Raises FalUnreachable where it is none of the three."""
    reply = await session.call("PUT", request.cancel_url)
    try:
        return CancelReply(decode(reply.body, CancelStatus).status)
    except (msgspec.DecodeError, ValueError):
        pass
    if reply.status in _BY_STATUS:
        return _BY_STATUS[reply.status]
    message = message_of(reply.body, reply.status).message
    raise FalUnreachable(f"FAL answered the cancel with {reply.status}: {message}", status=reply.status)


def _update(body: bytes) -> FalUpdate | None:
    return FalUpdate.of(decode(body, Status))


def _status_of(word: str) -> FalStatus | None:
    name = word.strip().upper().replace(" ", "_").replace("-", "_")
    if name in (FalStatus.QUEUED, FalStatus.RUNNING, FalStatus.COMPLETED):
        return FalStatus(name)
    return FalStatus.ENDED if name in _END_WORDS else None


def _position(raw: msgspec.Raw) -> int | None:
    try:
        return decode(bytes(raw), int | None)  # type: ignore[arg-type]  # msgspec takes unions
    except msgspec.DecodeError:
        return None
