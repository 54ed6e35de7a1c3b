"""What a good upload comes to, whatever its chunks and its file names."""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Iterable

import aiohttp
import pytest
from starlette.types import Message

from image2model.http.upload import ReceivedBatch, ReceivedFile, UploadBudget
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, eventually, noise_png, picture, read, receiving

PNG, JPEG = picture("PNG"), picture("JPEG")


def test_files_and_fields_arrive_whole_and_in_order(edge: Edge) -> None:
    pictures = [PNG, noise_png(3 << 20), JPEG, noise_png(700_000)]
    body = Body().text("model", "some/model")
    for data in pictures:
        body.file("a.png", data)
    answer = edge.post(bytes(body.text("face_limit", "5000")))
    assert answer.status == 202
    assert answer.body["files"] == [
        [index, "a.png", len(data), hashlib.sha256(data).hexdigest()] for index, data in enumerate(pictures)
    ]
    assert answer.body["fields"] == {"model": "some/model", "face_limit": "5000"}
    assert edge.stored == dict(enumerate(pictures))
    assert edge.budget.held == 0


@pytest.mark.long
def test_25_files_at_the_size_limit_are_taken(edge: Edge) -> None:
    exact = JPEG + bytes(10 * (1 << 20) - len(JPEG))
    body = Body()
    for index in range(25):
        body.file(f"{index}.jpg", exact)
    answer = edge.post(bytes(body))
    assert answer.status == 202, answer.body
    assert len(edge.stored) == 25


def test_a_file_without_name_or_type_is_judged_by_content(edge: Edge) -> None:
    answer = edge.post(bytes(Body().part('Content-Disposition: form-data; name="files"', PNG)))
    assert answer.status == 202
    assert answer.body["files"][0][:2] == [0, "image-1"]  # type: ignore[index]


def test_traversal_in_a_name_keeps_the_last_segment(edge: Edge) -> None:
    answer = edge.post(bytes(Body().file("../../etc/passwd", PNG)))
    assert answer.status == 202
    assert answer.body["files"][0][1] == "passwd"  # type: ignore[index]


def test_expect_continue_is_answered_before_the_body(edge: Edge) -> None:
    body = bytes(Body().file("a.png", PNG))
    with edge.address.connect() as raw:
        raw.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
            b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (CONTENT_TYPE.encode(), len(body))
        )
        assert raw.recv(1024).startswith(b"HTTP/1.1 100 ")
        raw.sendall(body)
        assert b" 202 " in raw.recv(65536)


async def test_aiohttp_sends_what_we_read(edge: Edge) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("files", PNG, filename="Stuhl größer.png", content_type="image/png")
    form.add_field("params", '{"seed": 3}')
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{edge.address.url}/upload", data=form) as answer,
    ):
        told = await answer.json()
    assert told["files"][0][1] == "Stuhl größer.png"
    assert told["fields"] == {"params": '{"seed": 3}'}


async def read_chunks(chunks: Iterable[bytes]) -> tuple[ReceivedBatch, dict[int, bytes]]:
    """`read_batch` over chunks as a server would give them."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    stored: dict[int, bytes] = {}

    async def sink(file: ReceivedFile, data: bytes) -> None:
        stored[file.index] = data

    budget = UploadBudget(1 << 20)
    batch = await read(receiving(*messages), budget, sink)
    assert budget.held == 0
    return batch, stored


def tricky() -> tuple[bytes, dict[int, bytes]]:
    """A body whose payloads are full of almost-boundaries, and the files that it holds."""
    tail = b"\r\n--edge-of-the-par\r\n--edge-of\r\r\n--\r\n\r\n-" + b"\r\n--edge-of-the-"
    files = {0: JPEG[:-2] + b"\xff\xd9" + tail, 1: PNG, 2: JPEG + tail}
    body = Body().text("model", "m\r\n--edge")
    for data in files.values():
        body.file("a", data)
    return bytes(body.text("no_cache", "true")), files


@pytest.mark.long
async def test_a_body_split_in_two_at_every_offset_reads_the_same() -> None:
    body, files = tricky()
    for cut in range(1, len(body)):
        batch, stored = await read_chunks([body[:cut], body[cut:]])
        assert stored == files, cut
        assert batch.fields == {"model": "m\r\n--edge", "no_cache": "true"}, cut


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 19, 64])
async def test_a_body_in_small_chunks_reads_the_same(size: int) -> None:
    body, files = tricky()
    _, stored = await read_chunks(body[at : at + size] for at in range(0, len(body), size))
    assert stored == files


async def test_random_splits_and_an_epilogue_read_the_same() -> None:
    body, files = tricky()
    body += b"\r\nan epilogue, which is to be ignored --edge-of-the-part\r\n"
    for seed in range(100):
        draw = random.Random(seed)
        cuts = sorted(draw.sample(range(1, len(body)), 12))
        _, stored = await read_chunks(
            body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        )
        assert stored == files, seed


@pytest.mark.long
async def test_the_loop_stays_free_while_large_files_are_hashed() -> None:
    large = noise_png(9 << 20)
    body = bytes(Body().file("a.png", large).file("b.png", large).file("c.png", large))
    chunks = [body[at : at + 262144] for at in range(0, len(body), 262144)]
    turns: list[float] = []
    watch = asyncio.create_task(_turns(turns))
    await read_chunks(chunks)
    watch.cancel()
    assert max(turns) < 0.1, "the loop was blocked"


async def _turns(turns: list[float]) -> None:
    """CPU seconds of the loop's thread between two of its turns: those of a busy machine do not count."""
    while True:
        before = time.thread_time()
        await asyncio.sleep(0.005)
        turns.append(time.thread_time() - before)


Make = Callable[..., Edge]


def test_the_sink_runs_while_the_next_file_arrives(make_edge: Make) -> None:
    """The first file is stored before the second one's last byte was sent."""
    edge = make_edge()
    body = bytes(Body().file("a.png", PNG).file("b.png", PNG))
    with edge.address.connect() as raw:
        raw.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
            % (CONTENT_TYPE.encode(), len(body))
        )
        raw.sendall(body[:-60])
        eventually(lambda: 0 in edge.stored, "the first file is stored early")
        raw.sendall(body[-60:])
        assert b" 202 " in raw.recv(65536)


async def test_several_models_arrive_in_their_order() -> None:
    body = Body().text("model", "b").file("a.png", picture()).text("model", "a").text("model", "c")
    batch = await read(receiving({"type": "http.request", "body": bytes(body)}), UploadBudget(1 << 30))
    assert (batch.models, batch.fields) == (("b", "a", "c"), {"model": "b"})


async def test_files_of_an_array_and_views_of_an_object_keep_the_order_of_the_body() -> None:
    body = Body()
    for name in ("files[1]", "objects[chair][front]", "objects[chair][back]", "files[0]"):
        body.part(f'Content-Disposition: form-data; name="{name}"; filename="{name[-3]}.png"', picture())
    batch = await read(receiving({"type": "http.request", "body": bytes(body)}), UploadBudget(1 << 30))
    places = [(file.place.object, file.place.side) for file in batch.files]
    assert places == [("", ""), ("chair", "front"), ("chair", "back"), ("", "")]
    assert [file.index for file in batch.files] == [0, 1, 2, 3]
