"""The status object of a request, and the stream of it.

Called by the queue routes. An open stream is one task that sleeps until its generation changes.
"""

import asyncio

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fal_emulator.faults import Fault
from fal_emulator.generation import Generation, Phase
from fal_emulator.replies import disconnected
from fal_emulator.state import State

_FAULTY_END = {Fault.STATUS_FAILED: "FAILED", Fault.STATUS_CANCELLED: "CANCELLED"}
"""Words that FAL's own pages do not know, and that public clients report."""

_encode = msgspec.json.Encoder().encode


def urls(generation: Generation) -> dict[str, object]:
    """The absolute URLs of a request, owner/alias only."""
    base = f"{generation.base_url}/{generation.endpoint.app}/requests/{generation.request_id}"
    return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}


def status_object(state: State, generation: Generation, *, logs: bool) -> dict[str, object]:
    """What the status route and each event of the stream say."""
    head: dict[str, object] = {
        "status": _word(generation),
        "request_id": generation.request_id,
        **urls(generation),
    }
    if generation.phase is Phase.IN_QUEUE:
        return {**head, "queue_position": state.runners.position(generation)}
    head["logs"] = _logs(generation) if logs else None
    answer = generation.answer
    if answer is None:
        return head
    head["metrics"] = {"inference_time": generation.seconds}
    if answer.error is not None:
        head |= {"error": answer.error, "error_type": answer.error_type}
    elif head["status"] in _FAULTY_END.values():
        head |= {"error": f"The request ended as {head['status']}", "error_type": "internal_error"}
    return head


def _word(generation: Generation) -> str:
    if generation.phase is Phase.COMPLETED:
        for fault, word in _FAULTY_END.items():
            if fault in generation.faults:
                return word
    return generation.phase


def _logs(generation: Generation) -> list[dict[str, object]]:
    started = generation.entry.started_at
    if started is None:
        return []
    return [{"message": "Generating the model", "timestamp": started, "level": "INFO", "source": "USER"}]


class StatusStream(Response):
    """Server-sent events: the status at first and at each change, a comment every 15 s, the end after
    COMPLETED."""

    def __init__(self, state: State, generation: Generation, *, logs: bool) -> None:
        super().__init__()
        self._state = state
        self._generation = generation
        self._logs = logs
        self._last = b""
        self.raw_headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            (b"x-fal-request-id", generation.request_id.encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await self._follow(gone, send)
        finally:
            gone.cancel()

    async def _follow(self, gone: asyncio.Future[None], send: Send) -> None:
        generation = self._generation
        while not gone.done():
            await self._send_if_changed(send)
            if generation.phase is Phase.COMPLETED or self._state.closing.is_set():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            change = generation.watch()
            interval = self._state.config.ping_interval
            await asyncio.wait((gone, change), timeout=interval, return_when=asyncio.FIRST_COMPLETED)
            if not change.done():
                generation.unwatch(change)
                await send({"type": "http.response.body", "body": b": ping\n\n", "more_body": True})

    async def _send_if_changed(self, send: Send) -> None:
        event = _encode(status_object(self._state, self._generation, logs=self._logs))
        if event != self._last:
            self._last = event
            await send({"type": "http.response.body", "body": b"data: " + event + b"\n\n", "more_body": True})
