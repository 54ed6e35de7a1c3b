"""A proxy between the workers and the emulator that changes what FAL answers, by request.

Used by the table of altered results. Its second port stands for another host. A number in a request's input
(`seed`, `target_polycount`) says which alterations it meets, so this is known before the request is made.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from aiohttp import web

from tests.support.altering import (
    Alteration,
    Body,
    FileChange,
    Names,
    Output,
    Turn,
    altered_output,
    hang_up,
)
from tests.support.fal_proxy import FalProxy

_NUMBERS = ("seed", "target_polycount", "decimation_target", "face_count")
_UNITS = "X-Fal-Billable-Units"

NAMES = {
    "tripo3d/tripo/v2.5/image-to-3d": Names("model_mesh", "rendered_image"),
    "fal-ai/meshy/v6/image-to-3d": Names("model_glb", "thumbnail"),
}


@dataclass
class Seen:
    """One request of FAL's: what it meets, and what was handed out."""

    request_id: str
    number: int | None
    endpoint: str
    alterations: tuple[Alteration, ...]
    began: float
    output: Output = None
    """As altered, once the result was there."""
    calls: dict[str, tuple[int, float]] = field(default_factory=dict)


class AlteringProxy(FalProxy):
    """`alterations` by number; take a number out and its later requests are FAL's own."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.elsewhere = ""
        self.alterations: dict[int, tuple[Alteration, ...]] = {}
        self.requests: dict[str, Seen] = {}
        self.originals: dict[str, bytes] = {}
        """The files as FAL has them, by path: those that `learn` was asked to fetch."""
        self.leaks: list[str] = []
        """Files that were asked for with FAL's key."""
        self.errors: list[str] = []

    def of(self, number: int) -> list[Seen]:
        """The requests of this number, in their order."""
        return [one for one in self.requests.values() if one.number == number]

    async def learn(self, seen: Seen) -> None:
        """Fetch the files of a request from FAL itself."""
        for path in _paths(seen.output):
            if path not in self.originals:
                async with self.http.get(self._upstream + path) as reply:
                    assert reply.status == 200, path
                    self.originals[path] = await reply.read()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Every call. What fails here is no fault of FAL's, and is kept for the test to see."""
        try:
            return await self._handle(request)
        except Exception as error:
            transport = request.transport
            if transport is not None and not transport.is_closing():  # else the client has gone: its right
                self.errors.append(f"{request.method} {request.path}: {error!r}")
            raise

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        segments = request.path.strip("/").split("/")
        if segments[0] == "files" and request.method == "GET" and segments[1] in self.requests:
            return await self._file(request, self.requests[segments[1]])
        if "requests" in segments and segments[0] != "v1":
            seen = self.requests.get(segments[segments.index("requests") + 1])
            if seen is not None and request.method == "GET":
                return await self._followed(request, seen, segments[-1])
        reply = await self.forward(request)
        if request.path.startswith("/v1/models/requests/"):
            reply = self._listed(reply)
        elif (
            reply.status == 200
            and request.method == "POST"
            and segments[0] not in {"files", "storage", "_emulator"}
        ):
            self._submitted(request, await request.read(), reply)
        return await reply.send(request)

    def _submitted(self, request: web.Request, body: bytes, reply: Body) -> None:
        arguments = json.loads(body)
        number = next((arguments[name] for name in _NUMBERS if name in arguments), None)
        request_id = json.loads(reply.content)["request_id"]
        found = self.alterations.get(number, ()) if number is not None else ()
        endpoint = request.path.strip("/")
        self.requests[request_id] = Seen(
            request_id, number, endpoint, found, asyncio.get_running_loop().time()
        )

    def _turn(self, seen: Seen, what: str) -> Turn:
        now = asyncio.get_running_loop().time()
        before, first = seen.calls.get(what, (0, now))
        seen.calls[what] = before + 1, first
        return Turn(before, now - first)

    async def _followed(self, request: web.Request, seen: Seen, action: str) -> web.StreamResponse:
        if action == "stream":
            return await self._stream(request, seen)
        reply = await self.forward(request)
        if action == "status":
            turn = self._turn(seen, "status")
            changed = _status(seen, reply.content, turn, stream=False)
            return await (changed or reply).send(request)
        return await (await self._result(seen, reply)).send(request)

    async def _result(self, seen: Seen, reply: Body) -> Body:
        if reply.status != 200 or not reply.is_event:
            return reply
        turn = self._turn(seen, "result")
        content, headers = self._altered(seen, reply.content), dict(reply.headers)
        for one in seen.alterations:
            if one.units is not None:
                headers = {name: value for name, value in headers.items() if name.lower() != _UNITS.lower()}
                headers |= {_UNITS: one.units} if one.units else {}
        reply = Body(200, content, reply.content_type, headers)
        for one in seen.alterations:
            if one.reply is not None and one.reply.spell.acts(turn):
                return one.reply.body or Body(200, content, reply.content_type, headers, cut=True)
        return reply

    def _altered(self, seen: Seen, content: bytes) -> bytes:
        names = replace(NAMES[seen.endpoint], base=self.url, elsewhere=self.elsewhere)
        seen.output = altered_output(seen.alterations, json.loads(content), names)
        return json.dumps(seen.output).encode()

    def _listed(self, reply: Body) -> Body:
        """by-endpoint: the output as the result has it, or none."""
        if reply.status != 200:
            return reply
        page = json.loads(reply.content)
        for item in page["items"]:
            seen = self.requests.get(item["request_id"])
            if seen is None or "json_output" not in item or item["status_code"] != 200:
                continue
            if any(one.hidden for one in seen.alterations):
                del item["json_output"]
            else:
                item["json_output"] = json.loads(
                    self._altered(seen, json.dumps(item["json_output"]).encode())
                )
        return Body(200, json.dumps(page).encode(), reply.content_type, reply.headers)

    async def _stream(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        turn = self._turn(seen, "stream")
        headers = {"Authorization": request.headers.get("Authorization", ""), "Host": request.host}
        async with self.http.get(self._upstream + request.path_qs, headers=headers) as source:
            reply: web.StreamResponse | None = None
            async for line in source.content:
                data = line.removeprefix(b"data: ") if line.startswith(b"data: ") else None
                changed = _status(seen, data, turn, stream=True) if data is not None else None
                if changed is not None and not changed.is_event:
                    if reply is None:
                        return await changed.send(request)
                    hang_up(request)
                    return reply
                if reply is None:
                    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                    await reply.prepare(request)
                await reply.write(line if changed is None else b"data: " + changed.content + b"\n")
                turn = Turn(turn.before, asyncio.get_running_loop().time() - seen.calls["stream"][1])
            if reply is None:
                return await Body(source.status, b"{}").send(request)
            await reply.write_eof()
            return reply

    async def _file(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        path, host = request.path, self.url.removeprefix("http://")
        if "Authorization" in request.headers:
            self.leaks.append(path)
        turn = self._turn(seen, path)
        for one in changes_of(seen.alterations, path):
            if one.acts(turn):
                return await one.send(request, await self.forward(request, host))
        return await self.pass_on(request, host)


def _paths(output: Output) -> set[str]:
    if isinstance(output, str):
        parts = urlsplit(output) if output.startswith("http") else None
        return {parts.path} if parts is not None and parts.path.startswith("/files/") else set()
    inner = output.values() if isinstance(output, dict) else output if isinstance(output, list) else ()
    return {path for part in inner for path in _paths(part)}


def role_of(path: str) -> str:
    """`model` or `preview`, else the suffix: `obj`."""
    name = path.rpartition("/")[2]
    if name in {"model.glb", "preview.jpg"}:
        return name.partition(".")[0]
    return name.rpartition(".")[2]


def changes_of(alterations: tuple[Alteration, ...], path: str) -> list[FileChange]:
    """What the transfer of a file meets."""
    return [one.files[role_of(path)] for one in alterations if role_of(path) in one.files]


def _status(seen: Seen, content: bytes, turn: Turn, *, stream: bool) -> Body | None:
    for one in seen.alterations:
        change = one.status
        if change is not None and change.spell.acts(turn) and (change.stream or not stream):
            made = change.change(json.loads(content))
            return made if isinstance(made, Body) else Body(200, json.dumps(made).encode())
    return None


@asynccontextmanager
async def altering_proxy(upstream: str) -> AsyncIterator[AlteringProxy]:
    """A running one on two free ports of loopback."""
    proxy = AlteringProxy(upstream)
    async with proxy.serving(ports=2) as (_, proxy.elsewhere):
        yield proxy
