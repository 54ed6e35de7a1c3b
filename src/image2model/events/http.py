"""The two event streams over HTTP: `/status/stream/{job_id}` and `/events`.

Plain ASGI, because a response class and a task for each direction would double the memory of a connection.
While a stream is open, its own task only waits for the client to disconnect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol

from starlette.datastructures import Headers, QueryParams
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from image2model.access.principal import Principal
from image2model.errors import Problem, StoreUnavailable
from image2model.events.relay import EventRelay
from image2model.events.send_buffer import SendBuffer, send_buffer_of
from image2model.events.subscriber import Subscriber
from image2model.events.topic import Resume, Topic
from image2model.store.connection import StoreOutage

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_DIGITS: Final = 18
"""Our ids have at most this many digits."""


class StreamGate(Protocol):
    """Authenticates a request before its stream begins, and ends the stream when the key is revoked."""

    async def authenticate(self, scope: Scope) -> Principal:
        """The caller. Raises the problem to answer with."""

    def watch_stream(self, principal: Principal, abort: Callable[[], None]) -> AbstractContextManager[None]:
        """While the block runs: call `abort` when the caller's key or session is no longer valid."""


RelayOf = Callable[[Scope], EventRelay]
GateOf = Callable[[Scope], StreamGate]
JoinTopic = Callable[[EventRelay, Scope, str], Awaitable[Topic]]


def routes(relay_of: RelayOf, gate_of: GateOf, *, prefix: str = "/api/v1") -> list[Route]:
    """The routes of both streams. `relay_of` and `gate_of` find the relay and the gate of a request."""
    job, owner = (EventStream(relay_of, gate_of, join) for join in (_job, _owner))
    return [
        Route(f"{prefix}/status/stream/{{job_id}}", job, methods=["GET"]),
        Route(f"{prefix}/events", owner, methods=["GET"]),
    ]


def _job(relay: EventRelay, scope: Scope, owner: str) -> Awaitable[Topic]:
    return relay.join_job(scope["path_params"]["job_id"], owner)


def _owner(relay: EventRelay, _scope: Scope, owner: str) -> Awaitable[Topic]:
    return relay.join_owner(owner)


class EventStream:
    """An ASGI endpoint for the topic that `join` joins.

    While a stream is open only `__call__` is on its stack, and nothing is added to its scope: each further
    frame costs memory for every client, and a dict that has to grow costs 768 bytes.
    """

    def __init__(self, relay_of: RelayOf, gate_of: GateOf, join: JoinTopic) -> None:
        self._relay_of = relay_of
        self._gate_of = gate_of
        self._join = join

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises NotFound, Expired, StoreUnavailable, and what the gate raises."""
        relay, gate = self._relay_of(scope), self._gate_of(scope)
        principal = await gate.authenticate(scope)
        send_buffer = send_buffer_of(scope, _handler())
        with gate.watch_stream(principal, send_buffer.abort):
            topic = await self._topic(relay, scope, principal.owner)
            subscriber: Subscriber | None = None
            try:
                subscriber = await self._begin(relay, topic, scope, send, send_buffer)
                while subscriber is not None and (await receive())["type"] != "http.disconnect":
                    pass
            except asyncio.CancelledError:
                if subscriber is None or not subscriber.aborted:
                    raise
            finally:
                if subscriber is not None:
                    relay.detach(subscriber)
                relay.leave(topic)

    async def _topic(self, relay: EventRelay, scope: Scope, owner: str) -> Topic:
        if relay.closing:
            raise StoreUnavailable.after("This server is stopping. Try again at once.", 1)
        try:
            return await self._join(relay, scope, owner)
        except StoreOutage as error:
            raise _unavailable() from error

    async def _begin(
        self, relay: EventRelay, topic: Topic, scope: Scope, send: Send, send_buffer: SendBuffer
    ) -> Subscriber | None:
        """Begin the answer; None if the answer is already complete."""
        try:
            opening = await topic.open(_last_id(scope))
        except StoreOutage as error:
            raise _unavailable() from error
        # the type also without events: some clients look at it before the status
        status = 204 if opening is None else 200
        await send({"type": "http.response.start", "status": status, "headers": list(_HEADERS)})
        if opening is None or scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return None
        subscriber = Subscriber(topic, opening, send, send_buffer, relay.writers)
        relay.attach(subscriber)
        subscriber.begin()
        return subscriber


def _handler() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a running coroutine is in a task
    return task


def _unavailable() -> Problem:
    return StoreUnavailable.after("The store does not answer. Try again in a few seconds.", 2)


def _last_id(scope: Scope) -> Resume:
    """The last id that the client has seen: from the header, which browsers send, or from the query."""
    text = Headers(scope=scope).get("last-event-id") or QueryParams(scope["query_string"]).get(
        "last_event_id"
    )
    if not text:
        return Resume(given=False)
    usable = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return Resume(given=True, last_id=int(text) if usable else None)
