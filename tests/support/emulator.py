"""A real FAL emulator on a real socket, in the test's own event loop, and a handle to steer it.

Used by every test that needs FAL. It never mocks: requests go over HTTP to uvicorn.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import uvicorn

from fal_emulator.app import create_app
from fal_emulator.config import Config
from fal_emulator.endpoints import Endpoint, Field
from fal_emulator.generation import Generation, Phase
from fal_emulator.server import bind
from fal_emulator.state import State

KEY = "test-id:test-secret"
AUTHORIZATION = {"Authorization": f"Key {KEY}"}
TRIPO = "tripo3d/tripo/v2.5/image-to-3d"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals stay the test runner's."""
        yield


def fault_rule(
    kind: str, rate: float | None, count: int | None, value: str | float | None, endpoint: str | None
) -> dict[str, object]:
    """The body of `POST /_emulator/faults`."""
    given = {"kind": kind, "rate": rate, "count": count, "value": value, "endpoint": endpoint}
    return {name: one for name, one in given.items() if one is not None}


class RunningEmulator(msgspec.Struct, frozen=True):
    """`url` has no trailing slash; `http` sends a valid key and has `url` as its base.

    `elsewhere` is the second address, at which `preview_elsewhere` puts its files.
    """

    url: str
    elsewhere: str
    http: httpx.AsyncClient
    state: State

    async def ledger(self) -> dict[str, Any]:
        """The ledger's document."""
        return dict((await self.http.get("/_emulator/ledger")).json())

    async def fault(
        self,
        kind: str,
        *,
        rate: float | None = None,
        count: int | None = None,
        value: str | float | None = None,
        endpoint: str | None = None,
    ) -> None:
        """Switch a fault on; `endpoint`: only for requests to it."""
        rule = fault_rule(kind, rate, count, value, endpoint)
        (await self.http.post("/_emulator/faults", json=rule)).raise_for_status()

    async def upload(self, data: bytes, name: str = "picture.png") -> str:
        """The URL of an uploaded file."""
        headers = {b"X-Fal-File-Name": name.encode()}
        reply = await self.http.post("/files/upload", content=data, headers=headers)
        return str(reply.json()["access_url"])

    async def submit(
        self, arguments: dict[str, Any], endpoint: str = TRIPO, query: str = "", **headers: str
    ) -> httpx.Response:
        """The reply to a submit; header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"/{endpoint}{query}", json=arguments, headers=named)

    async def follow(self, submitted: dict[str, Any], logs: int = 1) -> list[dict[str, Any]]:
        """Every status that the stream of this submit's reply tells, up to its end."""
        url = f"{submitted['status_url']}/stream?logs={logs}"
        async with self.http.stream("GET", url) as stream:
            lines = [line async for line in stream.aiter_lines()]
        return [msgspec.json.decode(line[6:]) for line in lines if line.startswith("data: ")]

    def as_drawn(self, endpoint: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with each value of an enumeration in the JSON type that this start has drawn."""
        row = self.state.catalogue.find(endpoint)
        assert row is not None
        return {name: _as_drawn(row.fields.get(name), value) for name, value in arguments.items()}

    async def ended(self, generation: Generation) -> None:
        """Returns when the generation is COMPLETED."""
        while generation.phase is not Phase.COMPLETED:
            await generation.watch()

    async def result(
        self, arguments: dict[str, Any], endpoint: str = TRIPO, **headers: str
    ) -> httpx.Response:
        """Submits, waits for the end, and gets the result."""
        submitted = (await self.submit(arguments, endpoint, **headers)).json()
        await self.follow(submitted)
        return await self.http.get(submitted["response_url"])

    async def settings(self, **changes: Any) -> None:
        """Change settings at run time."""
        (await self.http.post("/_emulator/settings", json=changes)).raise_for_status()


FBX = "data:application/octet-stream,%3B%20FBX%207.4.0"
"""The smallest file that is taken for an FBX."""


def smallest_input(row: Endpoint, picture: str, model: str) -> dict[str, Any]:
    """What the endpoint needs at least, from the URL of a picture and that of a GLB.

    Where FBX alone is taken, it is one of its own.
    """
    names = {row.picture, *row.one_of[:1]}
    needed = {name: field for name, field in row.fields.items() if field.required or name in names}
    return {name: _smallest(field, _url(field, picture, model)) for name, field in needed.items()}


def _url(field: Field, picture: str, model: str) -> str:
    if field.role != "model":
        return picture
    return model if not field.formats or "glb" in field.formats else FBX


def _as_drawn(field: Field | None, value: Any) -> Any:
    choices = () if field is None else field.choices
    return next((choice for choice in choices if str(choice) == str(value)), value)


def _smallest(field: Field, url: str) -> Any:
    if field.kind == "array":
        item = url if field.role is not None or field.items is None else field.items.minimum
        return [item] * (field.min_items or 1)
    return url if field.role is not None else "a chair"


@contextlib.asynccontextmanager
async def running_emulator(config: Config | None = None) -> AsyncIterator[RunningEmulator]:
    """An emulator on two free ports of loopback, gone at the end with every connection."""
    listeners = [bind("127.0.0.1", 0), bind("127.0.0.1", 0)]
    url, elsewhere = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in listeners)
    address = listeners[1].getsockname()
    app = create_app(msgspec.structs.replace(config or Config(latency=0.05), elsewhere=address))
    options = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    server = _Server(options)
    options.load()
    server.lifespan = options.lifespan_class(options)
    await server.startup(sockets=listeners)
    try:
        async with httpx.AsyncClient(base_url=url, headers=AUTHORIZATION, timeout=20) as http:
            yield RunningEmulator(url, elsewhere, http, app.state.emulator)
    finally:
        app.state.emulator.close()
        server.force_exit = True
        await server.shutdown(sockets=listeners)
        await server.lifespan.shutdown()
