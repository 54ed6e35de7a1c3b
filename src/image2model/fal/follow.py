"""Follows a request at FAL until it has ended, by its event stream and by polling, and cancels requests.

A failure to read the status says nothing about the request: it is tried again. Only the result shows how a
request ended.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from enum import StrEnum
from typing import Final, Self

import msgspec

from image2model.domain import FalRequest
from image2model.errors import FalResultGone
from image2model.fal.connections import Exchange
from image2model.fal.errors import FalUnreachable, message_of, reported_error
from image2model.fal.exchange import Deadlines
from image2model.fal.results import has_ended
from image2model.fal.session import FalSession, Observer, network_faults, observed, outcome_of
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
_LONGEST_LINE: Final = 1 << 15


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
        self._deadlines = Deadlines(silence=pace.idle)

    async def follow(self, request: FalRequest) -> AsyncGenerator[FalUpdate, None]:
        """Yields each change of state, COMPLETED last, and each denial. See `FalGateway.follow`."""
        # One generator, and not one for each source inside another: each costs at every update.
        state = _FollowState(self._pace)
        stream = _EventStream(self._session, self._observer, request, state, self._deadlines)
        seen: FalUpdate | None = None
        try:
            while True:
                update = await self._confirmed(request, await self._next(request, stream, state))
                if update is None or (update == seen and update.status is not FalStatus.DENIED):
                    continue
                seen = update
                yield update
                if update.status is FalStatus.COMPLETED:
                    return
        finally:
            stream.close("ok")

    async def _confirmed(self, request: FalRequest, found: FalUpdate) -> FalUpdate | None:
        """The same, unless it only sounds like an end: then what the result says of it, if anything."""
        if found.status is not FalStatus.ENDED:
            return found
        ended = await self._has_ended(request)
        if not ended and found is _MAYBE_ENDED:
            return None
        status = FalStatus.COMPLETED if ended else FalStatus.UNCLEAR
        return msgspec.structs.replace(found, status=status)

    async def _has_ended(self, request: FalRequest) -> bool:
        """Whether FAL has a result, or an error in its place. Otherwise the next status decides again."""
        try:
            with observed(self._observer, "result"):
                reply = await self._session.call("GET", request.response_url)
        except FalUnreachable:
            return False
        return has_ended(reply)

    async def _next(self, request: FalRequest, stream: "_EventStream", state: "_FollowState") -> FalUpdate:
        """The next update: of the stream, by polling for a while once it has ended, and of another stream."""
        clock = asyncio.get_running_loop().time
        while True:
            if state.polls_until is None:
                if (update := await stream.next()) is not None:
                    return update
                state.polls_until = clock() + self._pace.stream_again
            while clock() < state.polls_until:
                await asyncio.sleep(state.gap())
                if update := await self._poll(request, state):
                    state.understood()
                    if state.quiet:
                        state.polls_until = None  # the stream has lost no event
                    return update
                if state.take_stale():
                    return _MAYBE_ENDED  # the result decides
            state.polls_until = None

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


class _EventStream:
    """FAL's event stream of one request, opened by `next` where it is not open."""

    def __init__(
        self,
        session: FalSession,
        observer: Observer,
        request: FalRequest,
        state: "_FollowState",
        deadlines: Deadlines,
    ) -> None:
        self._session = session
        self._observer = observer
        self._url = f"{request.status_url}/stream"
        self._state = state
        self._deadlines = deadlines
        self._opened_at: float | None = None
        self._exchange: Exchange | None = None
        self._unread = b""
        self._has_unknown = False

    async def next(self) -> FalUpdate | None:
        """The next status; None once it has ended. `state.quiet`: because it was silent for long.

        Raises FalResultGone.
        """
        if self._opened_at is None:
            self._opened_at = time.perf_counter()
        try:
            update = await self._read()
        except (FalUnreachable, msgspec.DecodeError) as error:
            self.close(outcome_of(error))
            return None
        except BaseException as error:
            self.close(outcome_of(error))
            raise
        if update is None:
            self.close("ok")
        else:
            self._state.reset()
        return update

    def close(self, outcome: str) -> None:
        """Read it no more. `outcome`: how it ended, for the observer."""
        opened_at, self._opened_at = self._opened_at, None
        exchange, self._exchange = self._exchange, None
        self._unread, self._has_unknown = b"", False
        if exchange is not None:
            exchange.end()
        if opened_at is not None:
            self._observer("stream", outcome, time.perf_counter() - opened_at)

    async def _read(self) -> FalUpdate | None:
        if self._exchange is None:
            self._exchange = await self._open()
        state = self._state
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if not end:
                await self._read_more()
                continue
            self._unread = rest
            update = _update(line[5:]) if line.startswith(b"data:") else None
            if update is not None:
                self._has_unknown = False
                return update
            self._has_unknown = self._has_unknown or line.startswith(b"data:")
            if self._has_unknown and state.is_stale():
                raise FalUnreachable(f"{self._url} sends no status that is understood")
            state.quiet = state.is_quiet()
            if state.quiet:
                return None

    async def _open(self) -> Exchange:
        self._state.quiet = False
        headers = {**self._session.key_headers(self._url), "Accept": "text/event-stream"}
        exchange = await self._session.begin_get(
            f"{self._url}?logs=0", headers=headers, deadlines=self._deadlines
        )
        try:
            self._state.check(exchange.reply.status, self._url)
        except BaseException:
            exchange.end()
            raise
        return exchange

    async def _read_more(self) -> None:
        assert self._exchange is not None  # noqa: S101 - `_read` has opened it
        if len(self._unread) > _LONGEST_LINE:
            raise FalUnreachable(f"{self._url} sends a line of more than {_LONGEST_LINE} bytes")
        with network_faults(self._url):
            part = await self._exchange.reply.part()
        if not part:
            raise FalUnreachable(f"{self._url} ended before the request did")
        self._unread += part


class _FollowState:
    """The state of following one request: the polling gap, and since when FAL denies knowing the request.

    `polls_until`: for how long it is polled, by the loop's clock; None while its stream is read.
    """

    def __init__(self, pace: FollowPace) -> None:
        self._pace = pace
        self._gap = pace.first_gap
        self._denied_at: float | None = None
        self._understood_at = asyncio.get_running_loop().time()
        self.quiet = False
        self.polls_until: float | None = None

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

    def is_quiet(self) -> bool:
        """Whether no status came for so long that the stream may have lost one."""
        return self.silent_for() >= self._pace.quiet

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
