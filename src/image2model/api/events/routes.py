"""The two event streams over HTTP, as plain ASGI: `/status/stream/{job_id}` and `/events`.

Who calls it: the application mounts `routes`. A response class or a task for each direction would double
what a connection costs; here a connection's own task only waits for the client to leave.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from redis import RedisError
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from image2model.api.events.outlet import severing
from image2model.api.events.relay import EventRelay
from image2model.api.events.subscriber import Subscriber
from image2model.api.events.topic import Opening, Resume, Topic
from image2model.errors import StoreUnavailable
from image2model.telemetry.metrics import SSE_SUBSCRIBERS

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_DIGITS: Final = 18
"""More than these is no number of ours."""


class Principal(Protocol):
    """Who asks."""

    @property
    def owner(self) -> str: ...

    @property
    def role(self) -> str: ...


RelayOf = Callable[[Scope], EventRelay]
PrincipalOf = Callable[[Scope], Awaitable[Principal]]
TopicOf = Callable[[EventRelay, Scope, str], AbstractAsyncContextManager[Topic]]


def routes(relay_of: RelayOf, principal_of: PrincipalOf, *, prefix: str = "/api/v1") -> list[Route]:
    """Both streams. `principal_of(scope)` says who asks, or raises the problem to answer with."""
    job, owner = (EventStream(relay_of, principal_of, topic_of) for topic_of in (_job, _owner))
    return [
        Route(f"{prefix}/status/stream/{{job_id}}", job, methods=["GET"]),
        Route(f"{prefix}/events", owner, methods=["GET"]),
    ]


def _job(relay: EventRelay, scope: Scope, owner: str) -> AbstractAsyncContextManager[Topic]:
    return relay.job(scope["path_params"]["job_id"], owner)


def _owner(relay: EventRelay, _scope: Scope, owner: str) -> AbstractAsyncContextManager[Topic]:
    return relay.owner(owner)


class EventStream:
    """An ASGI endpoint for the topic that `topic_of` names."""

    def __init__(self, relay_of: RelayOf, principal_of: PrincipalOf, topic_of: TopicOf) -> None:
        self._relay_of = relay_of
        self._principal_of = principal_of
        self._topic_of = topic_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises NotFound, StoreUnavailable, and what `principal_of` raises."""
        relay = self._relay_of(scope)
        principal = await self._principal_of(scope)
        if relay.closing:
            raise StoreUnavailable.after("This server is stopping. Try again at once.", 1)
        try:
            async with self._topic_of(relay, scope, principal.owner) as topic:
                opening = await topic.open(_last_id(scope))
                await self._answer(relay, topic, opening, scope, receive, send)
        except RedisError as error:
            raise StoreUnavailable.after(
                "The store does not answer. Try again in a few seconds.", 2
            ) from error

    async def _answer(
        self,
        relay: EventRelay,
        topic: Topic,
        opening: Opening | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        if opening is None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        await self._stream(relay, topic, opening, scope, receive, send)

    async def _stream(
        self,
        relay: EventRelay,
        topic: Topic,
        opening: Opening,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        handler = asyncio.current_task()
        assert handler is not None  # noqa: S101 - a coroutine that runs is in a task
        subscriber = Subscriber(topic, opening, send, severing(scope, handler), relay.writers)
        relay.attach(subscriber)
        SSE_SUBSCRIBERS.inc()
        try:
            subscriber.begin()
            await _gone(receive)
        except asyncio.CancelledError:
            if not subscriber.severed:
                raise
        finally:
            SSE_SUBSCRIBERS.dec()
            relay.detach(subscriber)


async def _gone(receive: Receive) -> None:
    """Wait until the client has left, or the answer has ended."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _last_id(scope: Scope) -> Resume:
    """What the client has last seen: the header, which a browser sends by itself, or the query."""
    text = Headers(scope=scope).get("last-event-id") or QueryParams(scope["query_string"]).get(
        "last_event_id"
    )
    if not text:
        return Resume(given=False)
    usable = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return Resume(given=True, last_id=int(text) if usable else None)
