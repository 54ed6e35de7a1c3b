"""What FAL says when something goes wrong: one function for each answer, in FAL's words and shapes.

Model errors carry a list in `detail`, request errors a sentence and an `error_type`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from fal_emulator.generation import Answer, Generation
from fal_emulator.validation import Mistake


def model_error(
    message: str,
    kind: str,
    loc: tuple[str | int, ...],
    given: object,
    ctx: Mapping[str, object] = MappingProxyType({}),
) -> Answer:
    """422 with one entry that blames the input."""
    entry = {
        "loc": list(loc),
        "msg": message,
        "type": kind,
        "url": f"https://docs.fal.ai/errors/#{kind}",
        "ctx": dict(ctx),
        "input": given,
    }
    return Answer(422, {"detail": [entry]}, {"X-Fal-Error-Type": kind}, message, kind)


def invalid_input(
    message: str,
    kind: str,
    loc: tuple[str | int, ...],
    given: object,
    ctx: Mapping[str, object] = MappingProxyType({}),
) -> Answer:
    """The same for an input that no model has seen: FAL says that it bills nothing."""
    return _unbilled(model_error(message, kind, loc, given, ctx))


def invalid_fields(mistakes: Sequence[Mistake]) -> Answer:
    """422 with everything that pydantic finds wrong in an input, in pydantic's words. FAL bills nothing."""
    first = mistakes[0]
    entries = [_entry(mistake) for mistake in mistakes]
    headers = {"X-Fal-Error-Type": first.kind}
    return _unbilled(Answer(422, {"detail": entries}, headers, first.message, first.kind))


def _entry(mistake: Mistake) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": mistake.kind,
        "loc": ["body", *mistake.loc],
        "msg": mistake.message,
        "input": mistake.given,
    }
    return entry if mistake.ctx is None else {**entry, "ctx": mistake.ctx}


def _unbilled(refused: Answer) -> Answer:
    return msgspec.structs.replace(refused.with_header("X-Fal-Billable-Units", "0"), units=0.0)


def request_error(status: int, message: str, kind: str, **headers: str) -> Answer:
    """A sentence and an `error_type`; `headers` by name with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"detail": message, "error_type": kind}
    return Answer(status, body, {"X-Fal-Error-Type": kind, **named}, message, kind)


def cancelled() -> Answer:
    """499: the request was cancelled and the app obeyed."""
    return request_error(499, "The request was cancelled by the client", "client_cancelled")


def start_timeout() -> Answer:
    """504 that the caller's own start timeout caused; never retried."""
    return request_error(
        504,
        "The request did not start within its timeout",
        "request_timeout",
        X_Fal_Request_Timeout_Type="user",
    )


def runner_unreachable() -> Answer:
    """503: the runner could not be reached."""
    return request_error(
        503, "The runner could not be reached", "runner_connection_error", X_Fal_Retryable="true"
    )


def internal_error() -> Answer:
    """500 of the platform."""
    return request_error(500, "Internal server error", "internal_error", X_Fal_Retryable="true")


def failed() -> Answer:
    """500 that no runner's fault explains: the words are those of a status FAILED."""
    return request_error(500, "The model failed: the mesh could not be decoded", "internal_error")


def unsafe(loc: tuple[str | int, ...], given: object) -> Answer:
    """422 for a picture that a safety checker refused, under a type that does not say so."""
    message = "The request was rejected because of safety violations in the image"
    return model_error(message, "no_media_generated", loc, given)


def picture_field(generation: Generation) -> tuple[tuple[str | int, ...], object]:
    """Where the picture is in the input, and what was given there."""
    name, recorded = generation.endpoint.picture, generation.entry.input
    return ("body", name), recorded.get(name) if isinstance(recorded, dict) else None
