"""Parameters and headers that several operations share. Who calls it: the files of operations."""

from typing import Final

from image2model.api.reference.operation import Header, Parameter, Schema

JOB: Final = "4cb9cb4570b42a4270af9524ec1d3a49"
IMAGE: Final = "5a84bd3419a3fb8b6aab9cb26e890342"
KEY: Final = "3f9a1c20b7d84e55"
"""The ids of the examples."""

JOB_ID: Final = Parameter(
    name="job_id", where="path", description="The job's id, as its document tells it.", example=JOB
)
IMAGE_ID: Final = Parameter(
    name="image_id",
    where="path",
    description="The image's id, as the job's document tells it.",
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


def limit(most: int, default: int) -> Parameter:
    """The size of a page."""
    schema: Schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter(
        name="limit", where="query", description="How many at most.", example=default, schema=schema
    )


REQUEST_ID: Final = Header(
    name="X-Request-ID",
    description="The request's id: the caller's own `X-Request-ID` if it is sane, or a new one. "
    "The log tells it too.",
    example="01J9Z3K4M5N6P7Q8",
)
ETAG: Final = Header(
    name="ETag", description="Changes with the content; send it back as `If-None-Match`.", example='"42"'
)
LOCATION: Final = Header(
    name="Location", description="The address of the job's document.", example=f"/api/v1/status/{JOB}"
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
