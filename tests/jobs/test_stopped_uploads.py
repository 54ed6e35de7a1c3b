"""The pictures of a batch whose API process is told to stop: they are a job's, or they are deleted."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from image2model.store.keys import key as store_key
from image2model.up.store import EmbeddedStore
from tests.support.fleet import Fleet
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.ports import free_port
from tests.support.service_process import ServiceProcess
from tests.support.sketches import picture
from tests.support.wait import until

GRACE = "4"


@pytest.fixture
def redis_url(durable_store: EmbeddedStore) -> str:
    """Of a server that the test may freeze."""
    return durable_store.url


class HalfSent:
    """An upload of three pictures that stops behind the second one."""

    def __init__(self, port: int, folder: Path, key: str | None = None) -> None:
        body = Body()
        for seed in range(3):
            body.file(f"{seed}.png", picture(seed))
        whole = bytes(body)
        cut = whole.index(b'"2.png"')
        self._first, self._rest = whole[:cut], whole[cut:]
        self._port = port
        self._folder = folder
        self._key = f"Idempotency-Key: {key}\r\n" if key else ""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def begin(self) -> None:
        """Until the first two pictures are stored."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = (
            f"POST /api/v1/upload/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"{self._key}Content-Length: {len(self._first) + len(self._rest)}\r\n\r\n"
        )
        self._writer.write(head.encode() + self._first)
        await until(lambda: self._stored(2))

    async def finish(self) -> None:
        """Send the rest, until the third one is stored."""
        self._writer.write(self._rest)
        await until(lambda: self._stored(3))

    async def status(self) -> int:
        """The answer's; 0 where the connection ended without one."""
        async with asyncio.timeout(20):
            line = await self._reader.readline()
        self._writer.close()
        return int(line.split()[1]) if line else 0

    async def _stored(self, count: int) -> bool:
        return len(stored(self._folder)) == count


def stored(folder: Path) -> list[Path]:
    """Every file of the storage."""
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


async def started(fleet: Fleet) -> tuple[ServiceProcess, int]:
    port = free_port()
    return await fleet.start_api(port, I2M_SHUTDOWN_GRACE=GRACE), port


@pytest.mark.long
async def test_upload_that_a_stop_cuts_off_leaves_no_picture(fleet: Fleet, tmp_path: Path) -> None:
    api, port = await started(fleet)
    upload = HalfSent(port, tmp_path)
    await upload.begin()
    api.send(signal.SIGTERM)
    assert await upload.status() in {0, 503}
    assert await api.exit_code() == 0
    assert stored(tmp_path) == []


@pytest.mark.long
@pytest.mark.parametrize("key", [None, "a-key"])
async def test_pictures_of_a_creation_that_a_stop_cuts_off_belong_to_a_job_or_are_deleted(
    fleet: Fleet, durable_store: EmbeddedStore, tmp_path: Path, key: str | None
) -> None:
    """The store hangs while the job is made, and answers again just before the process must end."""
    api, port = await started(fleet)
    upload = HalfSent(port, tmp_path, key)
    await upload.begin()
    assert durable_store.pid is not None
    os.kill(durable_store.pid, signal.SIGSTOP)
    await upload.finish()
    api.send(signal.SIGTERM)
    status = await upload.status()
    os.kill(durable_store.pid, signal.SIGCONT)
    assert await api.exit_code() == 0
    assert status == 503
    jobs = {path.parent.name for path in stored(tmp_path)}
    assert [job_id for job_id in jobs if not await fleet.redis.exists(store_key("job", job_id))] == []
