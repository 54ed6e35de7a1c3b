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


class RunningEmulator(msgspec.Struct, frozen=True):
    """`url` has no trailing slash; `http` sends a valid key and has `url` as its base."""

    url: str
    http: httpx.AsyncClient
    state: State

    async def ledger(self) -> dict[str, Any]:
        """The ledger's document."""
        return dict((await self.http.get("/_emulator/ledger")).json())

    async def fault(self, kind: str, *, rate: float | None = None, count: int | None = None) -> None:
        """Switch a fault on."""
        rule = {"kind": kind, "rate": rate} if count is None else {"kind": kind, "count": count}
        (await self.http.post("/_emulator/faults", json=rule)).raise_for_status()

    async def settings(self, **changes: Any) -> None:
        """Change settings at run time."""
        (await self.http.post("/_emulator/settings", json=changes)).raise_for_status()


@contextlib.asynccontextmanager
async def running_emulator(config: Config | None = None) -> AsyncIterator[RunningEmulator]:
    """An emulator on a free port of loopback, gone at the end with every connection."""
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(config or Config(latency=0.05))
    options = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    server = _Server(options)
    options.load()
    server.lifespan = options.lifespan_class(options)
    await server.startup(sockets=[listener])
    try:
        async with httpx.AsyncClient(base_url=url, headers=AUTHORIZATION, timeout=20) as http:
            yield RunningEmulator(url, http, app.state.emulator)
    finally:
        app.state.emulator.close()
        server.force_exit = True
        await server.shutdown(sockets=[listener])
        await server.lifespan.shutdown()
