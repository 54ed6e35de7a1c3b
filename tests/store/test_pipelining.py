"""Calls that share round trips: each gets its own reply, whatever happens to the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.store.connection import StoreOutage, command, connect
from image2model.store.pipelining import call
from image2model.store.run_id import last_run_id
from tests.support.ports import free_port
from tests.support.refusing_store import refusing_store

ECHO = "return ARGV[1]"


def echo(redis: Redis, text: str) -> Coroutine[Any, Any, Any]:
    return call(redis, "EVAL", ECHO, 0, text)


async def counted(redis: Redis, name: str) -> int:
    """A counter of the store."""
    return int((await command(redis, "INFO", "stats"))[name])


async def test_each_task_gets_its_own_reply_in_few_round_trips(redis: Redis) -> None:
    await echo(redis, "warm")
    before = await counted(redis, "total_reads_processed")
    replies = await asyncio.gather(*(echo(redis, str(number)) for number in range(300)))
    assert replies == [str(number).encode() for number in range(300)]
    assert await counted(redis, "total_reads_processed") - before < 30


async def test_calls_that_come_while_a_line_ends_are_sent_too(redis: Redis) -> None:
    async def many(name: int) -> list[bytes]:
        return [await echo(redis, f"{name}-{number}") for number in range(50)]

    async with asyncio.timeout(30):
        found = await asyncio.gather(*map(many, range(5)))
    assert found == [[f"{name}-{number}".encode() for number in range(50)] for name in range(5)]


async def test_an_error_fails_only_its_own_call(redis: Redis) -> None:
    calls = [echo(redis, "a"), call(redis, "EVAL", "nonsense", 0), echo(redis, "b")]
    found: list[object] = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(found[1], ResponseError)
    assert not isinstance(found[1], StoreOutage)
    assert found[::2] == [b"a", b"b"]


async def test_a_cancelled_call_takes_no_reply_of_another(redis: Redis) -> None:
    calls = [asyncio.create_task(echo(redis, str(number))) for number in range(40)]
    await asyncio.sleep(0)  # all of them wait
    for one in calls[::2]:
        one.cancel()
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert found[1::2] == [str(number).encode() for number in range(1, 40, 2)]
    assert all(isinstance(one, asyncio.CancelledError) for one in found[::2])
    assert await echo(redis, "after") == b"after"


async def test_a_line_that_is_stopped_harms_no_call(redis: Redis) -> None:
    before = asyncio.all_tasks()
    calls = [asyncio.create_task(echo(redis, str(number))) for number in range(200)]
    await asyncio.sleep(0)
    for line in asyncio.all_tasks() - before - set(calls):
        line.cancel()
    assert await asyncio.gather(*calls) == [str(number).encode() for number in range(200)]


async def test_a_lost_connection_is_made_anew_and_the_call_repeated(redis: Redis, redis_url: str) -> None:
    await echo(redis, "warm")
    async with connect(redis_url) as other:
        await command(other, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    found = await asyncio.gather(*(echo(redis, str(number)) for number in range(20)))
    assert found == [str(number).encode() for number in range(20)]


async def test_an_outage_reaches_every_call_and_passes() -> None:
    async with refusing_store(b"-LOADING the dataset") as url, connect(url, timeout_s=0.5) as away:
        found = await asyncio.gather(
            *(echo(away, str(number)) for number in range(5)), return_exceptions=True
        )
    assert all(isinstance(one, StoreOutage) for one in found)


async def test_a_store_that_is_gone_leaves_no_call_waiting() -> None:
    """More calls than one round trip carries."""
    async with connect(f"redis://127.0.0.1:{free_port('127.0.0.1')}", timeout_s=0.5) as gone:
        async with asyncio.timeout(30):
            found = await asyncio.gather(
                *(echo(gone, str(number)) for number in range(300)), return_exceptions=True
            )
    assert all(isinstance(one, StoreOutage) for one in found)


async def test_a_task_learns_which_server_replied_to_it(redis: Redis) -> None:
    async def told() -> str:
        await echo(redis, "who")
        return last_run_id()

    found = set(await asyncio.gather(*(asyncio.create_task(told()) for _ in range(4))))
    assert found == {(await command(redis, "INFO", "server"))["run_id"]}


@pytest.mark.parametrize("size", [1 << 10, 4 << 20])
async def test_a_call_may_be_large(redis: Redis, size: int) -> None:
    assert len(await echo(redis, "x" * size)) == size
