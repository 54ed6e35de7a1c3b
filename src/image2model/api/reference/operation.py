"""The nouns of the reference: an operation, its parameters, bodies and answers. Pure data.

Who calls it: the files of operations make these, the document is built from them. Examples are real
Structs wherever the code has one, so they cannot show a field that is not there.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from image2model.errors import Problem

Schema = Mapping[str, object]
Where = Literal["path", "query", "header"]
Access = Literal["key", "admin", "metrics", "open"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the address or the headers. A path's is always required, no other is."""

    name: str
    where: Where
    description: str
    example: str | int | None = None
    schema: Schema = msgspec.field(default_factory=lambda: {"type": "string"})


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A header of an answer. `always`: the answer is never without it."""

    name: str
    description: str
    example: str
    always: bool = True


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: JSON in the shape of a Struct, or what `schema` says."""

    description: str
    examples: Mapping[str, object]
    shape: type[msgspec.Struct] | None = None
    media_type: str = "application/json"
    schema: Schema | None = None
    encoding: Schema | None = None
    required: bool = True


class SseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of event of a stream, with an example of its data."""

    name: str
    description: str
    shape: type[msgspec.Struct]
    example: msgspec.Struct


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that is no refusal.

    With a `shape` the body is that Struct as JSON, with `media_type` alone it is text or bytes, and
    without either there is none.
    """

    status: int
    description: str
    shape: type[msgspec.Struct] | None = None
    example: msgspec.Struct | str | None = None
    media_type: str | None = None
    binary: bool = False
    headers: tuple[Header, ...] = ()
    events: tuple[SseEvent, ...] = ()


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
