"""FAL's queue API by path: submit, status, status stream, result, cancel.

One route takes every path that no other has, because endpoint ids are of any depth while everything but
the submit keeps only owner/alias.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fal_emulator.faults import Fault, Group
from fal_emulator.generation import Generation, Phase
from fal_emulator.replies import answer_reply, detail, html, json_reply, key_id, unauthorized
from fal_emulator.state import State, state_of
from fal_emulator.status import StatusStream, status_object
from fal_emulator.submit import submit

_NAMESPACES = frozenset({"workflows", "comfy"})
_TRUE = frozenset({"1", "true"})


class Target(msgspec.Struct, frozen=True):
    """`app` is owner/alias, `action` what follows the request id (empty: the result)."""

    app: str
    request_id: str
    action: str


def parse_target(path: str) -> Target | None:
    """The request that a path is about, or None for a path of an endpoint itself.

    `/response`, the full endpoint path before `/requests` and trailing slashes are aliases.
    """
    segments = [segment for segment in path.split("/") if segment]
    kept = 3 if segments[:1] and segments[0] in _NAMESPACES else 2
    try:
        at = segments.index("requests", kept)
        request_id = segments[at + 1]
    except (ValueError, IndexError):
        return None
    action = "/".join(segments[at + 2 :])
    return Target("/".join(segments[:kept]), request_id, "" if action == "response" else action)


async def queue(request: Request) -> Response:
    """Everything under an endpoint's path."""
    state = state_of(request)
    key = key_id(request)
    if key is None:
        return unauthorized()
    target = parse_target(request.path_params["path"])
    if target is None:
        return await submit(request, state, key)
    generation = state.find(target.app, target.request_id)
    if generation is None:
        return _unknown(None)
    return _dispatch(request, state, generation, target.action)


def _dispatch(request: Request, state: State, generation: Generation, action: str) -> Response:
    logs = request.query_params.get("logs", "").lower() in _TRUE
    if action.startswith("status") and generation.lasts(Fault.STATUS_404, generation.accepted_at):
        return _unknown(generation)
    match request.method, action:
        case "GET", "":
            return _result(state, generation)
        case "GET", "status":
            code = 200 if generation.phase is Phase.COMPLETED else 202
            return json_reply(status_object(state, generation, logs=logs), code, generation.request_id)
        case "GET", "status/stream":
            return StatusStream(state, generation, logs=logs)
        case "PUT", "cancel":
            return _cancel(state, generation)
    return detail(405, "Method not allowed", generation.request_id)


def _result(state: State, generation: Generation) -> Response:
    answer = generation.answer
    if answer is None:
        return detail(400, "Request is still in progress", generation.request_id)
    faults = generation.faults
    if Fault.RESULT_EXPIRED in faults or state.expired(generation) or generation.erased:
        return detail(404, "Request not found", generation.request_id)
    if generation.lasts(Fault.RESULT_404, generation.finished_at):
        return detail(404, "Request not found", generation.request_id)
    if Fault.RESULT_HTML in faults:
        return html(200, "Welcome", {"x-fal-request-id": generation.request_id})
    if Fault.RESULT_LIST in faults:
        return json_reply([answer.body], answer.status, generation.request_id, answer.headers)
    return answer_reply(answer, generation.request_id)


def _unknown(generation: Generation | None) -> Response:
    request_id = generation.request_id if generation is not None else None
    return json_reply({"status": "NOT_FOUND", "detail": "Request not found"}, 404, request_id)


def _cancel(state: State, generation: Generation) -> Response:
    if generation.phase is Phase.COMPLETED:
        return json_reply({"status": "ALREADY_COMPLETED"}, 400, generation.request_id)
    ignored = state.faults.draw(Group.CANCEL, generation.endpoint.id, generation.asked)
    if not ignored or generation.phase is Phase.IN_QUEUE:
        state.runners.cancel(generation)
    return json_reply({"status": "CANCELLATION_REQUESTED"}, 202, generation.request_id)
