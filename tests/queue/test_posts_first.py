"""Images on their way to their POST go before results, which wait for a bounded time."""

import asyncio
import time

import pytest

from image2model.queue.posts_first import LONGEST_S, PostsFirst
from tests.support.fleet import Fleet


def keep_loop_busy() -> None:
    """As the work of a POST does."""
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        pass


async def test_nothing_waits_while_no_post_is_due() -> None:
    posts = PostsFirst()
    with posts.due():
        pass
    waiting = asyncio.ensure_future(posts.give_way())
    await asyncio.sleep(0)
    assert waiting.done()


async def test_idle_loop_lets_results_on_although_posts_are_due() -> None:
    """As while a picture is sent to FAL over a slow network."""
    posts = PostsFirst()
    with posts.due():
        async with asyncio.timeout(60):
            await asyncio.gather(*(posts.give_way() for _ in range(20)))


async def test_busy_loop_keeps_results_waiting_until_the_post_is_sent() -> None:
    posts, order = PostsFirst(), list[str]()

    async def post() -> None:
        with posts.due():
            for _ in range(5):
                keep_loop_busy()
                await asyncio.sleep(0)
        order.append("post")

    async def result() -> None:
        await posts.give_way()
        order.append("result")

    posting = asyncio.create_task(post())
    await asyncio.sleep(0)
    await asyncio.gather(posting, result(), result())
    assert order == ["post", "result", "result"]


async def test_results_wait_no_longer_than_the_bound() -> None:
    posts = PostsFirst()
    ended = asyncio.Event()

    async def posts_without_end() -> None:
        with posts.due():
            while not ended.is_set():
                keep_loop_busy()
                await asyncio.sleep(0)

    posting = asyncio.create_task(posts_without_end())
    await asyncio.sleep(0)
    began = time.monotonic()
    await posts.give_way()
    ended.set()
    await posting
    assert time.monotonic() - began >= LONGEST_S


async def test_image_without_a_free_permit_is_not_due() -> None:
    posts = PostsFirst()
    with posts.due():
        posts.add(-1)
        waiting = asyncio.ensure_future(posts.give_way())
        await asyncio.sleep(0)
        assert waiting.done()
        posts.add(1)


@pytest.mark.long
async def test_image_whose_result_is_stored_holds_no_slot(fleet: Fleet) -> None:
    """The others are started meanwhile, one after the other."""
    fleet.emulator.settings(latency=0.1, slow_transfer=60)
    fleet.emulator.fault("file_slow", count=1, value="model")
    fleet.start_worker(I2M_WORKER_CONCURRENCY="1")
    job_id = await fleet.submit(3)
    await fleet.until(job_id, lambda job: job.counts.storing == 1 and job.counts.succeeded == 2)
