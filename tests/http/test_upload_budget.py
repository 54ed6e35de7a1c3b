"""Memory for uploads is bounded, handed out in order, never deadlocked, and always given back."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from image2model.http.upload import UploadBudget
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.upload_edge import Edge, eventually, picture

KIB = 1 << 10


async def settle() -> None:
    """Let every ready task run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_oldest_goes_over_the_total_and_others_wait_in_order() -> None:
    budget = UploadBudget(100)
    order: list[str] = []

    async def take(name: str, size: int) -> None:
        await places[name].take(size)
        order.append(name)

    with contextlib.ExitStack() as stack:
        places = {name: budget.open() for name in ("old", "b", "c")}
        for name in ("b", "c"):
            stack.enter_context(places[name])
        with places["old"]:
            await take("b", 90)
            waiting = [asyncio.create_task(take("c", 20)), asyncio.create_task(take("b", 5))]
            await settle()
            assert order == ["b"], "5 bytes would fit, but do not overtake"
            await take("old", 500)
            assert budget.held == 590
        await settle()
        assert order == ["b", "old", "b"], "b is the oldest now; c's 20 bytes do not fit"
        places["b"].release(95)
        await asyncio.gather(*waiting)
    assert order[-1] == "c"
    assert budget.held == 0


async def test_an_upload_that_gives_up_waiting_lets_the_next_one_pass() -> None:
    budget = UploadBudget(100)
    with budget.open() as old, budget.open() as big, budget.open() as small:
        await old.take(60)
        gone = asyncio.create_task(big.take(90))
        patient = asyncio.create_task(small.take(30))
        await settle()
        gone.cancel()
        await patient
        assert budget.held == 90
        with pytest.raises(asyncio.CancelledError):
            await gone


@pytest.mark.parametrize("seed", range(20))
async def test_uploads_that_each_need_most_of_it_all_finish(seed: int) -> None:
    """The classic deadlock: everybody holds a part and waits for more. Some give up on the way."""
    draw = random.Random(seed)
    budget = UploadBudget(100)
    finished = 0

    async def upload() -> None:
        nonlocal finished
        with budget.open() as place:
            for _ in range(9):
                await place.take(10)
                await asyncio.sleep(0)
            finished += 1

    tasks = [asyncio.create_task(upload()) for _ in range(20)]
    await settle()
    given_up = draw.sample(tasks, 5)
    for task in given_up:
        task.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert finished >= 15
    assert budget.held == 0
    assert budget.waiting == 0


def test_held_bytes_stay_near_the_total_with_many_uploads_at_once(make_edge: Callable[..., Edge]) -> None:
    edge = make_edge(total_bytes=512 * KIB)
    data = picture("JPEG") + bytes(200 * KIB)
    body = Body()
    for index in range(6):
        body.file(f"{index}.jpg", data)
    most = 0

    def all_answered() -> bool:
        nonlocal most
        most = max(most, edge.budget.held)
        return all(task.done() for task in posts)

    with ThreadPoolExecutor(6) as pool:
        posts = [pool.submit(edge.post, bytes(body)) for _ in range(6)]
        eventually(all_answered, "all uploads end", within=30)
    assert [post.result().status for post in posts] == [202] * 6
    assert 0 < most <= 512 * KIB + 6 * 200 * KIB
    assert edge.budget.held == 0


def head(length: int) -> bytes:
    return b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (
        CONTENT_TYPE.encode(),
        length,
    )


def test_memory_is_released_when_the_client_leaves_in_the_middle(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    body = Body().file("a.jpg", picture("JPEG") + bytes(300 * KIB)).open_ended()
    with edge.address.connect() as raw:
        raw.sendall(head(10**7) + body[: 200 * KIB])
        eventually(lambda: edge.budget.held > 100 * KIB, "the beginning is held")
    eventually(lambda: edge.budget.held == 0, "and released when the client is gone")
    assert edge.post(bytes(Body().file("a.png", picture()))).status == 202
    assert "internal_error" not in capsys.readouterr().out


def test_a_waiting_upload_is_not_called_slow(make_edge: Callable[..., Edge]) -> None:
    """The budget's wait is ours: the sender behind it has sent all that it could."""
    edge = make_edge(total_bytes=64 * KIB, rate_window=0.4)
    data = picture("JPEG") + bytes(300 * KIB)
    whole = bytes(Body().file("b.jpg", data))
    with edge.address.connect() as first, edge.address.connect() as second:
        begun = Body().file("a.jpg", data).open_ended()[: 100 * KIB]
        first.sendall(head(10**6) + begun)
        eventually(lambda: edge.budget.held > 64 * KIB, "the oldest holds more than the total")
        second.sendall(head(len(whole)) + whole)
        eventually(lambda: edge.budget.waiting == 1, "the second one waits")
        assert b" 408 " in first.recv(65536), "the first one is slow indeed"
        assert b" 202 " in second.recv(65536)
