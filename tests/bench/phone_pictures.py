"""Rows: what API and worker hold in memory while 25 pictures of 48 megapixels are uploaded and prepared.

Who calls it: the bench. The limits are ours: a container of 2 GiB must do, however many pictures wait. The
memory of a worker is that of its decoder processes too.
"""

import asyncio
import io
import struct
from collections.abc import Callable
from typing import Final

import httpx
import numpy as np
from PIL import Image

from tests.bench import machine
from tests.bench.row import Row, at_most
from tests.bench.world import world
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import chunk, heic
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess

SIZE: Final = (8064, 6048)
API_MIB: Final = 1024
WORKER_MIB: Final = 1536
_TILE: Final = (1008, 756)
_EVERY_S: Final = 0.05


def run(quick: bool) -> list[Row]:
    """Two rows for each format."""
    count = 8 if quick else 25
    return [row for name in FORMATS for row in asyncio.run(_rows(name, count))]


async def _rows(name: str, count: int) -> list[Row]:
    data = await asyncio.to_thread(FORMATS[name])
    api, worker = await peaks(name, data, count)
    what = f"{count} {name.upper()} of 48 megapixels, {len(data) / 1e6:.0f} MB each"
    return [
        at_most(f"{what}, uploaded: peak RSS of the API", api, API_MIB, "MiB"),
        at_most(f"{what}, prepared: peak RSS of the worker", worker, WORKER_MIB, "MiB"),
    ]


async def peaks(name: str, data: bytes, count: int) -> tuple[float, float]:
    """MiB that the API and the worker held at most, each with its children."""
    async with world() as all_of_it:
        port = free_port()
        api = await all_of_it.api(port)
        worker = await all_of_it.worker()
        watches = [asyncio.create_task(_watch(one)) for one in (api, worker)]
        job_id = await _upload(port, name, data, count)
        await all_of_it.finish([job_id], every_s=0.2)
        for watch in watches:
            watch.cancel()
        held = await asyncio.gather(*watches)
        return held[0], held[1]


async def _upload(port: int, name: str, data: bytes, count: int) -> str:
    body = Body()
    for number in range(count):
        body.file(f"{number}.{name}", distinct(name, data, number))
    whole = bytes(body)
    async with httpx.AsyncClient(timeout=600) as http:
        answer = await http.post(
            f"http://127.0.0.1:{port}/api/v1/upload/batch",
            content=whole,
            headers={"Content-Type": CONTENT_TYPE},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])


async def _watch(process: ServiceProcess) -> float:
    most = 0.0
    try:
        while True:
            most = max(most, await asyncio.to_thread(machine.tree_mib, process.pid))
            await asyncio.sleep(_EVERY_S)
    except asyncio.CancelledError:
        return most


def photo() -> Image.Image:
    """48 megapixels with the noise of a camera, made of one tile, so that it is made at once."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(40, 200, _TILE[0])[None, :, None] + np.linspace(0, 40, _TILE[1])[:, None, None]
    tile = np.clip(ramp + rng.normal(0, 6, (*_TILE[::-1], 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(np.tile(tile, (SIZE[1] // _TILE[1], SIZE[0] // _TILE[0], 1)))


def distinct(name: str, data: bytes, number: int) -> bytes:
    """The same picture in other bytes: with a comment that nobody reads."""
    text = f"{number:08d}".encode()
    if name == "jpeg":
        return data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text + data[2:]
    if name == "png":
        return data[:33] + chunk(b"tEXt", b"Comment\x00" + text) + data[33:]
    return data + struct.pack(">I", 8 + len(text)) + b"free" + text


def _saved(**options: object) -> bytes:
    out = io.BytesIO()
    photo().save(out, **options)  # type: ignore[arg-type]
    return out.getvalue()


FORMATS: Final[dict[str, Callable[[], bytes]]] = {
    "jpeg": lambda: _saved(format="JPEG", quality=92),
    "png": lambda: _saved(format="PNG", compress_level=1),
    "heic": lambda: heic(photo()),
}
