"""Event streams under a crowd: lag, memory and loss, ours beside plain ASGI.

`python -m tests.bench.sse [--subscribers 10000] [--jobs 100] [--rate 20] [--seconds 20]` prints one JSON line
for each side. Lag is from before the worker's write to the store (or, for plain ASGI, from the event's
making) to the client's socket. Servers are processes of their own; the clock is the machine's monotonic one.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast

import uvloop

from tests.bench import guard
from tests.bench.product import EmbeddedStore, connect, create_job, submit, tell_position

_STAMP = re.compile(rb'"queue_position":(\d{9,})')


class Listener(asyncio.Protocol):
    """One client: notes when each event came, and nothing else."""

    lags_us: list[int] = []  # noqa: RUF012 - shared by all on purpose

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen = 0
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.open = self.open or b"200 OK" in data
        now = time.monotonic_ns() // 1000
        for stamp in _STAMP.findall(data):
            if (sent := int(stamp)) > Listener.since:
                self.seen += 1
                self.lags_us.append(now - sent)

    since = 0


def server_of_raw(topics: int, rate: float) -> AbstractContextManager[tuple[int, int]]:
    """Plain ASGI."""
    return server(["tests.bench.sse_raw", str(topics), str(rate)], dict(os.environ))


def server_of_api(redis_url: str, folder: str) -> AbstractContextManager[tuple[int, int]]:
    """The API as it is run."""
    settings = {
        "I2M_REDIS_URL": redis_url,
        "I2M_STORAGE_URL": f"file://{folder}/files",
        "I2M_AUTH": "none",
        "I2M_PORT": "0",
        "I2M_LOG_FORMAT": "json",
    }
    return server(["image2model", "api"], os.environ | settings)


@contextmanager
def server(module: list[str], environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """A server process, its pid and port: it says the latter in a line of its own, or in a log line."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    assert process.stdout is not None
    try:
        while not (found := re.search(rb'^(\d+)$|"port":\s*(\d+)', line := process.stdout.readline())):
            assert line, "the server ended"
        yield process.pid, int(found[1] or found[2])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def rss(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of CPU so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _connect(listener: Listener, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: listener, "127.0.0.1", port)


async def crowd(port: int, paths: list[str], size: int) -> list[Listener]:
    """Connect them all, a few at a time, until each has its answer."""
    listeners = [Listener(paths[i % len(paths)]) for i in range(size)]
    for start in range(0, size, 100):
        some = listeners[start : start + 100]
        await asyncio.gather(*(_connect(one, port) for one in some))
        async with asyncio.timeout(120):
            while not all(one.open for one in some):
                await asyncio.sleep(0.005)
    return listeners


def report(
    name: str, listeners: list[Listener], sent: list[int], memory: float, load: float, due: float
) -> dict[str, object]:
    """The numbers of one side. `sent`: how many events each topic had, `due`: how many all should hear.

    Raises NothingMeasured where far fewer came.
    """
    lags = sorted(Listener.lags_us)
    guard.enough(f"{name}: events delivered", len(lags), due)
    lost = sum(sent[i % len(sent)] - one.seen for i, one in enumerate(listeners)) if sent else 0
    row = {
        "side": name,
        "subscribers": len(listeners),
        "delivered": len(lags),
        "lost": lost,
        "kib_per_subscriber": round(memory / len(listeners) / 1024, 2),
        "p50_ms": lags[len(lags) // 2] / 1000,
        "p99_ms": lags[len(lags) * 99 // 100] / 1000,
        "max_ms": lags[-1] / 1000,
        "cpu_percent": round(load * 100, 1),
    }
    print(json.dumps(row), flush=True)  # noqa: T201 - a benchmark prints
    return row


async def raw(options: argparse.Namespace) -> dict[str, object]:
    """Plain ASGI, which makes its events itself."""
    Listener.lags_us.clear()
    with server_of_raw(options.jobs, options.rate) as (pid, port):
        await asyncio.sleep(1)
        before = rss(pid)
        listeners = await crowd(port, [f"/{i}" for i in range(options.jobs)], options.subscribers)
        memory = rss(pid) - before
        await asyncio.sleep(1)
        await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/publish")
        began = cpu(pid)
        await asyncio.sleep(options.seconds)
        return report("raw", listeners, [], memory, (cpu(pid) - began) / options.seconds, _due(options))


async def relay(options: argparse.Namespace) -> dict[str, object]:
    """Ours: a worker's steps in the store, the relay, the sockets."""
    Listener.lags_us.clear()
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        store = EmbeddedStore(Path(folder) / "store", durable=True)
        store.start()
        try:
            return await _relay(options, store.url, folder)
        finally:
            store.stop()


async def _relay(options: argparse.Namespace, url: str, folder: str) -> dict[str, object]:
    async with connect(url) as redis:
        for _ in range(options.jobs):
            await create_job(redis, [("originals/1.png", 10)], "local")
        submitted = await submit(redis, options.jobs)
        with server_of_api(url, folder) as (pid, port):
            await asyncio.sleep(1)
            before = rss(pid)
            paths = [f"/api/v1/status/stream/{image.job_id}" for image in submitted]
            listeners = await crowd(port, paths, options.subscribers)
            memory = rss(pid) - before
            await asyncio.sleep(1)
            began = cpu(pid)
            sent = [0] * options.jobs
            due = time.monotonic()
            for number in range(int(options.rate * options.seconds)):
                due += 1 / options.rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                sent[number % options.jobs] += 1
                stamp = time.monotonic_ns() // 1000
                await tell_position(redis, submitted[number % options.jobs], stamp)
            load = (cpu(pid) - began) / options.seconds
            await asyncio.sleep(1)
            return report("relay", listeners, sent, memory, load, _due(options))


def _due(options: argparse.Namespace) -> float:
    """Events of one side, over all its clients."""
    return float(options.rate * options.seconds * options.subscribers / options.jobs)


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--subscribers", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    plain = uvloop.run(raw(options))
    ours = uvloop.run(relay(options))
    ratio = float(str(ours["p99_ms"])) / float(str(plain["p99_ms"]))
    print(json.dumps({"p99_ratio": round(ratio, 2)}))  # noqa: T201 - a benchmark prints


if __name__ == "__main__":
    main()
