"""`python -m tests.results.large`: a model of 1 GB through the real processes, under `mirror` and `redirect`.

It tells how much memory the worker and the API took at most, and fails unless the file was handed over whole
and both stayed within a bound that does not depend on the file.
"""

import argparse
import asyncio
import hashlib
import json
import struct
import sys
import tempfile
import time
from pathlib import Path

from image2model.up.store import EmbeddedStore
from tests.results.table import TRIPO
from tests.results.world import World, world_on
from tests.support import glb

_BOUND_MIB = 400
_PIECE = 1 << 20


def sparse_glb(path: Path, size: int) -> None:
    """A GLB of one triangle whose binary chunk has as many bytes as it takes, nearly all of them holes."""
    text = json.dumps(glb.document()).encode()
    text += b" " * (-len(text) % 4)
    binary = size - 12 - 8 - len(text) - 8
    with path.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, size))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", binary, b"BIN\0") + glb.BINARY)
        file.truncate(size)


def _peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def _sum(world: World, job_id: str, image_id: str) -> tuple[int, str]:
    size, total = 0, hashlib.sha256()
    async with world.http.get(f"/api/v1/download/{job_id}/{image_id}") as reply:
        async for piece in reply.content.iter_chunked(_PIECE):
            size += len(piece)
            total.update(piece)
    return size, total.hexdigest()


async def _one(results: str, file: Path, folder: Path, wanted: str) -> list[str]:
    store = EmbeddedStore(folder, durable=False)
    await asyncio.to_thread(store.start)
    try:
        flags = ("--model-file", str(file))
        async with world_on(store.url, folder, results, emulator_flags=flags) as world:
            pids = {process.log.name: process.pid for process in world.fleet.workers}
            before = {name: _peak_mib(pid) for name, pid in pids.items()}
            began = time.monotonic()
            job = await world.upload(0, TRIPO)
            await world.ended([job], 600)
            took = time.monotonic() - began
            image = await world.image(job)
            size, found = await _sum(world, job, image["image_id"])
            peaks = {name: _peak_mib(pid) for name, pid in pids.items()}
    finally:
        await asyncio.to_thread(store.stop)
    _say(f"{results}: {image['status']} in {took:.0f} s, {size >> 20} MiB, mesh {image['result']}")
    _say(f"{results}: memory at most, MiB: {peaks}, before: {before}")
    wrong = [f"{results}: {name} took {peak} MiB" for name, peak in peaks.items() if peak > _BOUND_MIB]
    if image["status"] != "succeeded" or found != wanted:
        wrong.append(f"{results}: {image['status']} {image['error']}, {size} bytes that are not the file's")
    return wrong


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program for people


def main() -> int:
    """0 if the file came whole, and in little memory."""
    flags = argparse.ArgumentParser("tests.results.large", description=__doc__)
    flags.add_argument("--mib", type=int, default=1024)
    size, wrong = flags.parse_args().mib << 20, []
    with tempfile.TemporaryDirectory(prefix="i2m-") as name:
        file = Path(name) / "large.glb"
        sparse_glb(file, size)
        with file.open("rb") as opened:
            wanted = hashlib.file_digest(opened, "sha256").hexdigest()
        for results in ("mirror", "redirect"):
            folder = Path(name) / results
            folder.mkdir()
            wrong += asyncio.run(_one(results, file, folder, wanted))
    for line in wrong:
        _say(f"BROKEN {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
