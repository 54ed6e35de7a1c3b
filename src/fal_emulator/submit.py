"""FAL's submit: the one call that costs money.

Called by the queue route for a path without a request id. What it accepts is in the ledger before any fault
can swallow the reply.
"""

from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fal_emulator.access import Lifecycle, lifecycle_of
from fal_emulator.config import parse_duration
from fal_emulator.fault_rules import Faults, parse_faults
from fal_emulator.faults import Fault, Group
from fal_emulator.generation import Generation
from fal_emulator.input_urls import summary
from fal_emulator.refusals import invalid_input
from fal_emulator.replies import Unanswered, answer_reply, base_url, detail, json_reply, refusal
from fal_emulator.state import State
from fal_emulator.status import urls
from fal_emulator.tags import TagsError, parse_tags
from fal_emulator.webhooks import valid_webhook

_decode = msgspec.json.Decoder(dict[str, object]).decode


class BadRequestError(Exception):
    """The submit is refused with 400; the message says why."""


class Wishes(msgspec.Struct, frozen=True):
    """What a submit asks for besides its input; seconds."""

    tags: dict[str, str]
    faults: Faults
    latency: float
    start_timeout: float | None
    webhook: str | None
    max_queue_length: int | None
    low_priority: bool
    lifecycle: Lifecycle


async def submit(request: Request, state: State, key: str) -> Response:
    """Accepts a request, or refuses it."""
    endpoint = state.catalogue.find(request.path_params["path"].strip("/"))
    if endpoint is None:
        return detail(404, f"Application {request.path_params['path']} not found")
    if request.method != "POST":
        return detail(405, "Method not allowed")
    body = await request.body()
    try:
        wishes = _wishes(request, state)
    except BadRequestError as error:
        return detail(400, str(error))
    met = next(iter(state.faults.draw(Group.SUBMIT, endpoint.id, wishes.faults)), None)
    if met is not None and (refused := refusal(met, endpoint.id)) is not None:
        return refused
    longest = wishes.max_queue_length
    if longest is not None and state.runners.queue_length(endpoint.id) > longest:
        return detail(429, "The queue of this endpoint is longer than fal_max_queue_length")
    try:
        arguments = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return answer_reply(
            invalid_input(f"Not a JSON object: {error}", "json_invalid", ("body",), None), _id()
        )
    generation = Generation(
        request_id=_id(),
        endpoint=endpoint,
        arguments=arguments,
        recorded=summary(arguments),
        tags=wishes.tags,
        key_id=key,
        base_url=base_url(request),
        latency=wishes.latency,
        faults=state.faults.draw_generation(endpoint.id, wishes.faults),
        asked=wishes.faults,
        low_priority=wishes.low_priority,
        start_timeout=wishes.start_timeout,
        webhook=wishes.webhook,
        lifecycle=wishes.lifecycle,
    )
    if store_io := request.headers.get("x-fal-store-io"):
        state.store_io.append(store_io)
    state.accept(generation)
    return _reply(state, generation, met)


def _reply(state: State, generation: Generation, met: Fault | None) -> Response:
    if met in {Fault.HANG, Fault.DROP_AFTER_ACCEPT}:
        return Unanswered(state.closing, hang=met is Fault.HANG)
    body = {
        "status": "IN_QUEUE",
        "request_id": generation.request_id,
        **urls(generation),
        "queue_position": state.runners.position(generation),
    }
    reply = json_reply(body, 200, generation.request_id, _concurrency(state, generation))
    if met is Fault.MALFORMED:
        return Response(bytes(reply.body)[:25], 200, dict(reply.headers) | {"content-length": "25"})
    return reply


def _concurrency(state: State, generation: Generation) -> dict[str, str]:
    """What one third-party sheet says that FAL tells about the account's limit."""
    if not state.settings.concurrency_headers:
        return {}
    runners = state.runners
    return {
        "x-fal-concurrency-limit": str(runners.concurrency),
        "x-fal-concurrency-remaining": str(runners.remaining(generation.key_id)),
    }


def _id() -> str:
    return str(uuid4())


def _wishes(request: Request, state: State) -> Wishes:
    headers, query = request.headers, request.query_params
    try:
        tags = parse_tags(headers.get("x-fal-tags", ""))
        faults = parse_faults(headers.get("x-emulator-fault") or tags.get("emulator.fault", ""))
        latency = headers.get("x-emulator-latency") or tags.get("emulator.latency")
        timeout = headers.get("x-fal-request-timeout") or headers.get("x-fal-request-start-timeout")
        longest = query.get("fal_max_queue_length")
        return Wishes(
            tags=tags,
            faults=faults,
            latency=state.settings.latency if latency is None else parse_duration(latency),
            start_timeout=None if timeout is None else float(timeout),
            webhook=_webhook(query.get("fal_webhook")),
            max_queue_length=None if longest is None else int(longest),
            low_priority=headers.get("x-fal-queue-priority") == "low",
            lifecycle=lifecycle_of(headers),
        )
    except (ValueError, TagsError) as error:
        raise BadRequestError(str(error)) from error


def _webhook(url: str | None) -> str | None:
    if url is not None and not valid_webhook(url):
        raise ValueError("fal_webhook must be an http or https URL")
    return url
