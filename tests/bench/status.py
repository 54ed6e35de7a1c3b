"""`GET /status` of a 25-image job with keys on, against Starlette with one Redis GET, in one run.

Run it as `python -m tests.bench.status`; it prints a table, and as JSON with `--json`. Both servers are one
process each; the sides take turns, so that a busy machine is busy for both.
"""

import asyncio
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

from tests.bench import guard
from tests.bench.product import EmbeddedStore, connect, create_job, make_key
from tests.support.ports import free_port

CONNECTIONS: Final = 50
SECONDS: Final = 2.0
ROUNDS: Final = 5
API: Final = ("-m", "image2model", "api")


@contextmanager
def process(command: list[str], port: int, **environment: str) -> Iterator[None]:
    """A server, from the moment it listens."""
    child = subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert child.poll() is None, command
                time.sleep(0.02)
        yield
    finally:
        child.terminate()
        child.wait(30)


async def rate(port: int, request: bytes, expected: bytes = b"200") -> float:
    """Requests a second over `CONNECTIONS` connections that each wait for their answer, of this status.

    Raises NothingMeasured where a connection got none, TimeoutError where one waits for its answer.
    """
    loop = asyncio.get_running_loop()
    deadline = time.perf_counter() + SECONDS
    clients = [Client(request, expected, deadline) for _ in range(CONNECTIONS)]
    async with asyncio.timeout(SECONDS + 30):
        for client in clients:
            await loop.create_connection(client.itself, "127.0.0.1", port)
        await asyncio.gather(*(client.done for client in clients), return_exceptions=True)
    for client in clients:
        client.done.result()
    guard.enough("connections that were answered", sum(bool(one.count) for one in clients), CONNECTIONS, 1)
    return sum(one.count for one in clients) / SECONDS


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer, until the deadline.

    A protocol and no stream, because the client shares two cores with what it measures: asyncio's streams
    cost more than the fastest answer does. `count`: answers so far. `done` fails where one is missing.
    """

    def __init__(self, request: bytes, expected: bytes, deadline: float) -> None:
        self.count = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._expected = expected
        self._deadline = deadline
        self._received = bytearray()
        self._size = 0
        """Bytes of the answer that is being received; 0: not known yet."""

    def itself(self) -> "Client":
        """The protocol's factory."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size:
            self._size = _answer_size(self._received)
        if not self._size or len(self._received) < self._size:
            return
        if self._received[9:12] != self._expected:
            self._end(AssertionError(bytes(self._received[:200])))
            return
        self.count += 1
        self._received.clear()
        self._size = 0
        if time.perf_counter() < self._deadline:
            self._transport.write(self._request)
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        error = asyncio.IncompleteReadError(bytes(self._received), None)
        error.__cause__ = exc
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._transport.close()
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


def _answer_size(received: bytearray) -> int:
    """Bytes of the answer with its head, 0 while its head is incomplete."""
    end = received.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    head = received[:end].lower()
    at = head.find(b"content-length: ")
    return end + (int(head[at + 16 : head.index(b"\r", at)]) if at >= 0 else 0)


def get(path: str, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "x", **headers}.items()]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def _etag(port: int, path: str, bearer: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Authorization": bearer})
    etag = connection.getresponse().getheader("ETag")
    connection.close()
    assert etag, f"no ETag from {path}"
    return etag


async def measure(store_url: str, folder: Path, rounds: int = ROUNDS) -> dict[str, float]:
    async with connect(store_url) as redis:
        key, owner = await make_key(redis)
        job_id = await create_job(redis, [(f"originals/{number}.png", 10) for number in range(25)], owner)
        await redis.set("bench:version", "1")
    ours, theirs = free_port(), free_port()
    common = {"I2M_REDIS_URL": store_url}
    settings = {"I2M_AUTH": "keys", "I2M_PORT": str(ours), "I2M_STORAGE_URL": folder.as_uri()}
    uvicorn = ["-m", "uvicorn", "tests.bench.status_app:app", "--port", str(theirs), "--no-access-log"]
    with (
        process([sys.executable, *API], ours, **common, **settings, I2M_LOG_LEVEL="info"),
        process([sys.executable, *uvicorn], theirs, **common),
    ):
        bearer = f"Bearer {key}"
        full = get(f"/api/v1/status/{job_id}", Authorization=bearer)
        etag = await asyncio.to_thread(_etag, ours, f"/api/v1/status/{job_id}", bearer)
        cached = get(f"/api/v1/status/{job_id}", Authorization=bearer, If_None_Match=etag)
        sides = {
            "status": (ours, full),
            "status_304": (ours, cached),
            "get": (theirs, get("/answer")),
            "get_304": (theirs, get("/unchanged")),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, (port, request) in sides.items():
                rates[name].append(await rate(port, request, b"304" if name.endswith("304") else b"200"))
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        store = EmbeddedStore(Path(folder), durable=False)
        store.start()
        try:
            found = uvloop.run(measure(store.url, Path(folder) / "files"))
        finally:
            store.stop()
    ratios = {
        "status / Starlette + GET": (found["status"] / found["get"], 1.3),
        "304 / Starlette + GET, 304": (found["status_304"] / found["get_304"], 1.3),
    }
    if "--json" in sys.argv:
        print(msgspec.json.encode({"rates": found, "ratios": ratios}).decode())  # noqa: T201
        return
    for name, value in found.items():
        print(f"{name:32} {value:9.0f} requests/s")  # noqa: T201
    for name, (ratio, least) in ratios.items():
        print(f"{name:32} {ratio:9.2f} (at least {least})")  # noqa: T201


if __name__ == "__main__":
    main()
