"""The clients of the deploy's test are watched: one that stops, or fails, is found by its name."""

import asyncio

import pytest

from tests.support.traffic import Traffic


async def goes_on() -> None:
    await asyncio.sleep(0)


async def stops() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise ValueError("x")


async def test_clients_that_go_on_make_progress() -> None:
    async with Traffic({"one": goes_on, "two": goes_on}) as traffic:
        await traffic.progress()
    assert traffic.failures == []
    assert min(traffic.rounds.values()) >= 2


async def test_a_client_that_stopped_is_named() -> None:
    async with Traffic({"one": goes_on, "the reader": stops}, patience_s=0.1) as traffic:
        with pytest.raises(AssertionError, match=r"no progress within 0\.5 s: the reader"):
            await traffic.progress(within=0.5)
    assert traffic.failures == ["the reader does not come to the end of its round"]


async def test_a_client_that_fails_makes_no_progress_and_is_told() -> None:
    async with Traffic({"the uploader": fails}) as traffic:
        with pytest.raises(AssertionError, match="the uploader"):
            await traffic.progress(within=0.3)
    assert traffic.failures[0] == "the uploader: ValueError('x')"
