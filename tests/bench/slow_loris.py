"""200 uploads that trickle and 2,000 idle connections: liveness must not notice, a good upload must pass.

Run it as `python -m tests.bench.slow_loris`. It starts one API process with keys on, and everything on
loopback. It prints the percentiles of `GET /health/live` and ends with 1 where p99 is 50 ms or more.
"""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.bench import guard
from tests.bench.product import EmbeddedStore, connect, make_key
from tests.bench.status import API, get, process
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.ports import free_port
from tests.support.sketches import picture

SLOW: Final = 200
IDLE: Final = 2000
SECONDS: Final = 20.0
STEP_S: Final = 0.5
TRICKLE: Final = b"x" * int(18 * 1024 * STEP_S)
"""A little over the least rate, so that nobody is cut off for slowness alone."""
LIMIT_MS: Final = 50.0


def head(key: str, length: int) -> bytes:
    return (
        f"POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {length}\r\nAuthorization: Bearer {key}\r\n\r\n"
    ).encode()


async def trickle(port: int, key: str) -> None:
    """An upload that never ends, until it is refused."""
    body = bytes(Body().file("a.png", picture(fmt="PNG")))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(head(key, 9_000_000) + body[:200])
        while not reader.at_eof():
            writer.write(TRICKLE)
            await writer.drain()
            await asyncio.sleep(STEP_S)
    writer.close()


async def live(port: int, seconds: float) -> list[float]:
    """Milliseconds of one call after the other, each over a connection of its own, as a prober does."""
    took, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/api/v1/health/live", Connection="close"))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer[:80]
        took.append((time.perf_counter() - begun) * 1000)
        writer.close()
        await asyncio.sleep(0.02)
    return sorted(took)


async def upload(port: int, key: str) -> float:
    """Seconds of one good upload."""
    body = bytes(Body().file("a.png", picture(fmt="PNG")))
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head(key, len(body)) + body)
    answer = await asyncio.wait_for(reader.read(64), 20)
    assert answer.startswith(b"HTTP/1.1 202"), answer
    writer.close()
    return time.perf_counter() - begun


async def enemies(port: int, key: str) -> None:
    """Both crowds, until a tenth of the slow ones has gone. Runs in a process of its own."""
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE)]
    crowd = {asyncio.create_task(trickle(port, key)) for _ in range(SLOW)}
    sys.stdout.write("there\n")
    sys.stdout.flush()
    while len(crowd) > SLOW * 0.9:
        _, crowd = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    del idle


async def measure(port: int, key: str) -> tuple[list[float], list[float]]:
    command = [sys.executable, "-m", "tests.bench.slow_loris", "enemies", str(port), key]
    crowd = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert crowd.stdout is not None
        assert await asyncio.wait_for(crowd.stdout.readline(), 60) == b"there\n"
        watching = asyncio.create_task(live(port, SECONDS))
        uploads = []
        while not watching.done():
            uploads.append(await upload(port, key))
            await asyncio.sleep(1)
        if crowd.returncode is not None:
            raise guard.NothingMeasured("a tenth of the slow uploads was gone before the end")
        return await watching, uploads
    finally:
        if crowd.returncode is None:
            crowd.kill()
        await crowd.wait()


async def key_in(store_url: str) -> str:
    async with connect(store_url) as redis:
        return (await make_key(redis, rate="1000000/min"))[0]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        store = EmbeddedStore(Path(folder), durable=False)
        store.start()
        try:
            key, port = asyncio.run(key_in(store.url)), free_port()
            environment = {"I2M_AUTH": "keys", "I2M_PORT": str(port), "I2M_REDIS_URL": store.url}
            files = {"I2M_STORAGE_URL": (Path(folder) / "files").as_uri()}
            with process([sys.executable, *API], port, **environment, **files):
                took, uploads = asyncio.run(measure(port, key))
        finally:
            store.stop()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"live p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(took)} (below {LIMIT_MS:.0f})")  # noqa: T201
    print(f"{len(uploads)} good uploads, the slowest {max(uploads):.2f} s")  # noqa: T201
    return int(p99 >= LIMIT_MS)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    if sys.argv[1:2] == ["enemies"]:
        asyncio.run(enemies(int(sys.argv[2]), sys.argv[3]))
    else:
        os.environ.setdefault("I2M_LOG_LEVEL", "warning")
        raise SystemExit(main())
