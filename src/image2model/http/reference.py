"""The types of the API reference: an operation, its parameters, bodies and answers. Pure data.

Each concept's `openapi` module describes its operations with them, and `api.openapi` builds the document.
Examples are real Structs wherever the code has one, so they cannot show a field that does not exist.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from image2model.errors import Problem
from image2model.http.preferences import MAX_WAIT_S

Schema = Mapping[str, object]
Where = Literal["path", "query", "header"]
Access = Literal["key", "admin", "metrics", "open"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the address or the headers. A path's is always required, no other is."""

    name: str
    where: Where
    description: str
    example: str | int | Mapping[str, str] | None = None
    schema: Schema = msgspec.field(default_factory=lambda: {"type": "string"})


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A header of an answer. `always`: every such answer has it."""

    name: str
    description: str
    example: str
    always: bool = True


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body: JSON in the shape of a Struct, or by `schema`. `form`: the same as multipart.

    A schema with a `title` becomes a named one of the document.
    """

    description: str
    examples: Mapping[str, object]
    shape: type[msgspec.Struct] | None = None
    media_type: str = "application/json"
    schema: Schema | None = None
    encoding: Schema | None = None
    form: Schema | None = None
    required: bool = True


class SseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event of a stream, with an example of its data."""

    name: str
    description: str
    shape: type[msgspec.Struct]
    example: msgspec.Struct


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that is not a refusal.

    With a `shape` the body is that Struct as JSON, with `media_type` alone it is text or bytes, and
    without either there is none. `otherwise`: an example of the other Struct that it may be instead.
    `contains`: JSON files in an archive, by their names.
    """

    status: int
    description: str
    shape: type[msgspec.Struct] | None = None
    example: msgspec.Struct | str | None = None
    otherwise: msgspec.Struct | None = None
    media_type: str | None = None
    binary: bool = False
    headers: tuple[Header, ...] = ()
    events: tuple[SseEvent, ...] = ()
    contains: Mapping[str, type[msgspec.Struct]] = {}

    @property
    def shapes(self) -> tuple[type[msgspec.Struct], ...]:
        """The Structs that the body may be; empty where it is no JSON."""
        shape = () if self.shape is None else (self.shape,)
        return shape if self.otherwise is None else (*shape, type(self.otherwise))


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one address. `counted`: the rate limits count it."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    tag: str
    id: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[type[Problem], ...] = ()
    access: Access = "key"
    counted: bool = False


JOB: Final = "4cb9cb4570b42a4270af9524ec1d3a49"
IMAGE: Final = "5a84bd3419a3fb8b6aab9cb26e890342"
KEY: Final = "3f9a1c20b7d84e55"
"""The ids of the examples."""

JOB_ID: Final = Parameter(
    name="job_id", where="path", description="The job's id, from its document.", example=JOB
)
IMAGE_ID: Final = Parameter(
    name="image_id",
    where="path",
    description="The image's id, from the job's document.",
    example=IMAGE,
)
CURSOR: Final = Parameter(
    name="cursor",
    where="query",
    description="The `next_cursor` of an earlier page; without it the list begins with the newest.",
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match",
    where="header",
    description="The `ETag` of an earlier answer: 304 if nothing has changed since.",
)
LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID",
    where="header",
    description="The id of the last event that was seen: every later one follows, once and in order. "
    "A browser sends it by itself when it reconnects.",
)
LAST_EVENT_ID_QUERY: Final = Parameter(
    name="last_event_id",
    where="query",
    description="The same for a first connection, where no header can be set.",
)

PREFER: Final = Parameter(
    name="Prefer",
    where="header",
    description="`wait=N` (RFC 7240): answer when the job has ended, or after N seconds with the job as it "
    f"is. At most {MAX_WAIT_S} seconds; a larger N and `wait` alone mean that too. Anything malformed is "
    "ignored. The answer comes earlier when the service stops. A client that leaves does not stop the job.",
    example="wait=5",
)


def limit(most: int, default: int) -> Parameter:
    """The size of a page."""
    schema: Schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter(
        name="limit", where="query", description="How many at most.", example=default, schema=schema
    )


REQUEST_ID: Final = Header(
    name="X-Request-ID",
    description="The request's id: the caller's own `X-Request-ID` if it is sane, or a new one. "
    "The log has it too.",
    example="01J9Z3K4M5N6P7Q8",
)
ETAG: Final = Header(
    name="ETag", description="Changes with the content; send it back as `If-None-Match`.", example='"42"'
)
LOCATION: Final = Header(
    name="Location", description="The address of the job's document.", example=f"/api/v1/status/{JOB}"
)
APPLIED: Final = Header(
    name="Preference-Applied",
    description="The preference that was followed.",
    example="wait=5",
    always=False,
)
RETRY_AFTER: Final = Header(
    name="Retry-After",
    description="Seconds to wait before asking again, where waiting helps.",
    example="5",
    always=False,
)
CHALLENGE: Final = Header(
    name="WWW-Authenticate",
    description="How to authenticate (RFC 9110).",
    example='Bearer realm="image2model"',
    always=False,
)
ALLOW: Final = Header(name="Allow", description="The methods that the address takes.", example="GET, HEAD")
RATE_LIMIT: Final = (
    Header(
        name="RateLimit-Policy",
        description="The key's limit: `q` requests in `w` seconds. Not sent under `I2M_AUTH=none`.",
        example='"key";q=60;w=60',
        always=False,
    ),
    Header(
        name="RateLimit",
        description="What is left of it: `r` requests, whole again in `t` seconds. "
        "Not sent under `I2M_AUTH=none`.",
        example='"key";r=59;t=1',
        always=False,
    ),
)
