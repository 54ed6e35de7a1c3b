"""Small changes of what FAL answers, to be put together: of a result's JSON, reply, files and statuses.

Used by the altering proxy, which applies them, and by the table of altered results, which names them. Each
change is bounded in time and size. `lasting` tells whether it ever stops: by that a test knows whether a
whole file was to be had.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

Output = Any
"""The JSON of a result."""

STUCK_FOR = 25.0
"""Seconds after which a transfer that brings nothing is ended by the proxy: nobody waits so long."""


@dataclass(frozen=True)
class Names:
    """What one endpoint calls its fields, and where files are: FAL's address, and another host's."""

    model: str
    preview: str
    base: str = ""
    elsewhere: str = ""


@dataclass
class Turn:
    """One call of a kind: how many came before it, and the seconds since the first."""

    before: int
    seconds: float


@dataclass(frozen=True)
class Spell:
    """When a change acts: on the first `times` calls, for `seconds` from the first call on, else for ever."""

    times: float = math.inf
    seconds: float = math.inf

    @property
    def lasting(self) -> bool:
        return math.isinf(self.times) and math.isinf(self.seconds)

    def acts(self, turn: Turn) -> bool:
        return turn.before < self.times and turn.seconds < self.seconds


FOR_EVER = Spell()
ONCE = Spell(times=1)


@dataclass(frozen=True)
class Body:
    """A whole reply in place of FAL's."""

    status: int = 200
    content: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection ends half way."""

    @property
    def is_event(self) -> bool:
        """Whether it can stand in a stream of statuses, and does not end it."""
        return self.status == 200 and self.content_type == "application/json"

    async def send(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(
            status=self.status, headers={**self.headers, "Content-Type": self.content_type}
        )
        reply.content_length = len(self.content)
        await reply.prepare(request)
        await reply.write(self.content[: len(self.content) // 2] if self.cut else self.content)
        if self.cut:
            hang_up(request)
        else:
            await reply.write_eof()
        return reply


HTML = Body(content=b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", content_type="text/html")


def as_json(value: object, status: int = 200, **headers: str) -> Body:
    """JSON as a reply; header names with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Body(status, json.dumps(value).encode(), headers={"x-fal-request-id": "altered", **named})


@dataclass(frozen=True)
class ReplyChange:
    """Another reply in place of a good one, for a spell. `body` of None cuts FAL's own half way."""

    body: Body | None
    spell: Spell = FOR_EVER
    bills: float | None = None
    """Units that FAL bills for a request that ends so, where not as usual."""


@dataclass(frozen=True)
class StatusChange:
    """Makes another status of FAL's: JSON, or a whole reply, for a spell; `stream`: also of the stream."""

    change: Callable[[dict[str, Any]], object]
    spell: Spell = FOR_EVER
    stream: bool = True


class FileChange(Protocol):
    """Another way to hand out a file. `lasting`: the file is never to be had whole."""

    @property
    def lasting(self) -> bool: ...

    def acts(self, turn: Turn) -> bool: ...

    async def send(self, request: web.Request, original: Body) -> web.StreamResponse: ...


def hang_up(request: web.Request) -> None:
    """End the connection where it is."""
    if request.transport is not None:
        request.transport.close()


@dataclass(frozen=True)
class FileReply:
    """A whole reply in place of the file."""

    make: Callable[[Body], Body]
    spell: Spell = FOR_EVER
    lasting: bool = True

    def acts(self, turn: Turn) -> bool:
        return self.spell.acts(turn)

    async def send(self, request: web.Request, original: Body) -> web.StreamResponse:
        return await self.make(original).send(request)


@dataclass(frozen=True)
class FileSent:
    """The file sent in another way."""

    how: Callable[[web.Request, Body], Awaitable[web.StreamResponse]]
    spell: Spell = FOR_EVER
    lasting: bool = False

    def acts(self, turn: Turn) -> bool:
        return self.spell.acts(turn)

    async def send(self, request: web.Request, original: Body) -> web.StreamResponse:
        return await self.how(request, original)


@dataclass(frozen=True)
class Alteration:
    """Any number of changes under one name. `files` are by role: `model`, `preview`, or a suffix: `obj`.

    `units` replaces the header of billable units, an empty text removes it; `hidden`: by-endpoint does not
    list the output. `needs`: the endpoint whose result it is about.
    """

    name: str
    output: Callable[[Output, Names], Output] | None = None
    reply: ReplyChange | None = None
    status: StatusChange | None = None
    files: Mapping[str, FileChange] = field(default_factory=dict)
    units: str | None = None
    hidden: bool = False
    needs: str | None = None


def altered_output(alterations: tuple[Alteration, ...], output: Output, names: Names) -> Output:
    """The JSON after all of them."""
    for one in alterations:
        if one.output is not None:
            output = one.output(output, names)
    return output
