"""Files are handed on early, never after the upload's end, and cost no more than their bytes."""

import asyncio
import io
import os
import random
import sys
import threading
from collections.abc import Callable

import pytest
from PIL import Image
from starlette.requests import ClientDisconnect
from starlette.types import Message

from image2model.errors import DiskFull
from image2model.http.upload import ReceivedBatch, ReceivedFile, UploadBudget, UploadLimits, read_batch
from image2model.http.upload.form import FilePart
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, PictureSize, inspect, picture, read, receiving

PNG = picture()


def noisy(side: int) -> bytes:
    """A PNG that no codec makes smaller."""
    data = io.BytesIO()
    pixels = random.Random(1).randbytes(3 * side * side)
    Image.frombytes("RGB", (side, side), pixels).save(data, "PNG")
    return data.getvalue()


class SlowStorage:
    """Puts that wait for the test, and are counted."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()

    async def sink(self, _file: ReceivedFile, _data: bytes) -> None:
        self.begun += 1
        self.most_at_once = max(self.most_at_once, self.begun - self.ended)
        await self.gate.wait()
        self.ended += 1


def request(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def test_few_files_of_one_upload_are_under_way_at_once() -> None:
    storage, budget = SlowStorage(), UploadBudget(1 << 20)
    body = Body()
    for _ in range(9):
        body.file("a.png", PNG)
    reading = asyncio.create_task(read(receiving(request(bytes(body), more=False)), budget, storage.sink))
    await until(lambda: storage.begun == 2)
    assert budget.held <= 3 * len(PNG)
    storage.gate.set()
    assert len((await reading).files) == 9
    assert storage.most_at_once == 2
    assert budget.held == 0


@pytest.mark.parametrize(("room_for", "held_in_all"), [(8, 2), (1000, 4)])
async def test_the_next_file_waits_for_the_one_in_work_where_uploads_hold_much_memory(
    room_for: int, held_in_all: int
) -> None:
    """Another upload holds a file: an eighth of the smaller budget, and any more of that is much."""
    budget, body, held = UploadBudget(room_for * len(PNG)), Body(), []
    for _ in range(5):
        body.file("a.png", PNG)

    async def sink(_file: ReceivedFile, _data: bytes) -> None:
        for _ in range(100):  # time for all that need not wait for this
            await asyncio.sleep(0)
        held.append(budget.held // len(PNG))

    with budget.open() as other:
        await other.take(len(PNG))
        batch = await read(receiving(request(bytes(body), more=False)), budget, sink)
        assert len(batch.files) == 5
        assert max(held) == held_in_all
        assert budget.held == len(PNG)


async def test_large_files_are_examined_by_no_more_threads_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    budget, two_at_once = UploadBudget(1 << 30), threading.Barrier(2)
    large = noisy(side=400)
    assert len(large) > 256 << 10

    def waiting_for_another(data: bytes) -> PictureSize:
        with pytest.raises(threading.BrokenBarrierError):
            two_at_once.wait(0.2)
        two_at_once.reset()
        return inspect(data)

    async def upload() -> ReceivedBatch:
        message = request(bytes(Body().file("a.png", large)), more=False)
        headers = {"content-type": CONTENT_TYPE}
        limits = UploadLimits()
        return await read_batch(
            receiving(message), headers, limits=limits, budget=budget, inspect=waiting_for_another
        )

    both = await asyncio.gather(upload(), upload())
    assert [len(one.files) for one in both] == [1, 1]


async def test_a_put_that_began_is_waited_for_when_the_client_leaves() -> None:
    storage, budget = SlowStorage(), UploadBudget(1 << 20)
    gone = asyncio.Event()

    async def receive() -> Message:
        if storage.begun == 0 and not gone.is_set():
            gone.set()
            return request(Body().file("a.png", PNG).file("b.png", PNG).open_ended(), more=True)
        await until(lambda: storage.begun == 1)
        return {"type": "http.disconnect"}

    reading = asyncio.create_task(read(receive, budget, storage.sink))
    await until(lambda: storage.begun == 1)
    done, _ = await asyncio.wait([reading], timeout=0.1)
    assert not done, "the put is still under way"
    storage.gate.set()
    with pytest.raises(ClientDisconnect):
        await reading
    assert storage.ended == 1
    assert budget.held == 0


async def test_a_failing_put_refuses_the_upload_and_begins_no_other() -> None:
    tried: list[int] = []

    async def sink(file: ReceivedFile, _data: bytes) -> None:
        tried.append(file.index)
        raise DiskFull("The disk is full.")

    body = Body()
    for _ in range(25):
        body.file("a.png", PNG)
    budget = UploadBudget(1 << 20)
    with pytest.raises(DiskFull):
        await read(receiving(request(bytes(body), more=False)), budget, sink)
    assert len(tried) <= 3
    assert budget.held == 0


def test_a_failing_put_is_answered_after_the_whole_body(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_file: ReceivedFile, _data: bytes) -> None:
        raise DiskFull("The disk is full.")

    monkeypatch.setattr(edge, "sink", full)
    body = Body().file("a.png", PNG).file("b.jpg", picture("JPEG") + bytes(9 << 20))
    answer = edge.post(bytes(body))
    assert (answer.status, answer.body["code"]) == (507, "disk_full")


def test_two_byte_chunks_cost_little_more_than_their_bytes() -> None:
    """Kept one by one they would cost twenty times as much, and the byte budget would mean nothing."""
    part = FilePart(0, "a.jpg", 1 << 20, inspect)
    data = picture("JPEG") + bytes(200_000)
    for at in range(0, len(data), 2):
        part.feed(data[at : at + 2])
    held = sum(sys.getsizeof(chunk) for chunk in part._chunks)
    assert held < 1.5 * len(data)
    assert part.take() == data
