"""Row: uploads of 25 pictures of 4 MB, beside an application that drains, hashes and writes the same bytes.

Who calls it: the bench. Both sides have the same allocator settings and take turns.
"""

import asyncio
import shutil
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import guard, machine, pictures, status
from tests.bench.row import Row, at_most, ratio_at_least
from tests.bench.world import MALLOC, post_batch, world
from tests.support.ports import free_port

_WARM_UPS = 5


def run(quick: bool) -> list[Row]:
    """Two rows: speed, and memory under eight uploads at once."""
    return asyncio.run(_measure(rounds=3 if quick else 9))


async def _measure(rounds: int) -> list[Row]:
    body = pictures.batch(pictures.large(25))
    async with world() as all_of_it:
        port, plain_port = free_port(), free_port()
        api = await all_of_it.api(port)
        folder = all_of_it.folder
        drain = [sys.executable, "-m", "tests.bench.upload_drain", str(plain_port), str(folder / "plain")]
        with status.process(drain, plain_port, **MALLOC):
            sides = [(port, folder / "files" / "originals"), (plain_port, folder / "plain")]
            ours, theirs = await asyncio.to_thread(_speeds, sides, body, rounds)
        growth = await asyncio.to_thread(_growth, api.pid, port, body)
    return [
        ratio_at_least("upload, 25 x 4 MB", ours, theirs, 0.8, "MB/s"),
        at_most("RSS growth, 8 such uploads at once", growth, 96, "MiB"),
    ]


def _speeds(sides: list[tuple[int, Path]], body: bytes, rounds: int) -> list[float]:
    for port, files in sides:
        for _ in range(_WARM_UPS):
            post_batch(port, body)
            shutil.rmtree(files, ignore_errors=True)
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for taken, (port, files) in zip(seconds, sides, strict=True):
            taken.append(post_batch(port, body)[1])
            guard.enough(f"bytes in {files}", guard.stored_bytes(files), len(body), 0.99)
            shutil.rmtree(files, ignore_errors=True)
    return [len(body) / 1e6 / statistics.median(taken) for taken in seconds]


def _growth(pid: int, port: int, body: bytes) -> float:
    before = machine.resident_mib(pid)
    machine.forget_peak(pid)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda _: post_batch(port, body), range(8)))
    return machine.peak_mib(pid) - before
