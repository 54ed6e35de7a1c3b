"""What passes is one type, from every way to ask the store; what does not pass is not of that type."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from image2model.store.connection import StoreOutage, command, connect, connect_for_pubsub
from image2model.store.keys import key
from image2model.store.scripts import Script
from image2model.up.store import EmbeddedStore
from tests.support.refusing_store import refusing_store

PASSING = [
    b"-LOADING Valkey is loading the dataset in memory",
    b"-READONLY You can't write against a read only replica.",
    b"-MISCONF Errors writing to the AOF file: No space left on device",
    b"-OOM command not allowed when used memory > 'maxmemory'.",
    b"-CLUSTERDOWN The cluster is down",
    b"-MASTERDOWN Link with MASTER is down",
    b"-TRYAGAIN Multiple keys request during rehashing of slot",
    b"-NOREPLICAS Not enough good replicas to write.",
    b"-BUSY Valkey is busy running a script.",
    b"-ERR max number of clients reached",
    b"-ERR Error running script (call to f_1): @user_script:3: -OOM command not allowed",
    b"",
]
BUGS = [
    b"-WRONGTYPE Operation against a key holding the wrong kind of value",
    b"-ERR user_script:1: Script attempted to access nonexistent global variable 'x'",
    b"-NOSCRIPT No matching script.",
    b"-NOPERM this user has no permissions to run the 'evalsha' command",
    b"-BUSYGROUP Consumer Group name already exists",
    b"-ERR a text with OOM in it",
]

Ask = Callable[[Redis], Awaitable[object]]


async def _command(redis: Redis) -> object:
    return await command(redis, "SET", "key", "value", "PX", 60_000)


async def _script(redis: Redis) -> object:
    return await Script("queue/allow_trial")(redis)


async def _pipeline(redis: Redis) -> object:
    return await _setting(redis.pipeline(transaction=False))


async def _transaction(redis: Redis) -> object:
    return await _setting(redis.pipeline(transaction=True))


async def _setting(pipe: Pipeline) -> object:
    pipe.set("key", "value", px=60_000)
    return await pipe.execute()


async def _subscription(redis: Redis) -> object:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        return await pubsub.get_message(timeout=2)


WRITES = [_command, _script, _pipeline, _transaction]
WAYS = [*WRITES, _subscription]


@pytest.mark.parametrize("reply", PASSING, ids=lambda reply: reply[:24].decode())
@pytest.mark.parametrize("ask", WAYS)
async def test_what_passes_is_an_outage_however_it_was_asked(reply: bytes, ask: Ask) -> None:
    async with refusing_store(reply) as url, connect(url, timeout_s=2) as redis:
        with pytest.raises(StoreOutage):
            await ask(redis)


@pytest.mark.parametrize("reply", BUGS, ids=lambda reply: reply[:24].decode())
@pytest.mark.parametrize("ask", WAYS)
async def test_what_does_not_pass_is_no_outage(reply: bytes, ask: Ask) -> None:
    async with refusing_store(reply) as url, connect(url, timeout_s=2) as redis:
        with pytest.raises(RedisError) as caught:
            await ask(redis)
    assert not isinstance(caught.value, StoreOutage)


@pytest.mark.parametrize("ask", WAYS)
async def test_refused_connection_is_an_outage(ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        async with connect(f"redis://127.0.0.1:{taken.getsockname()[1]}/0") as redis:
            with pytest.raises(StoreOutage):
                await ask(redis)


async def test_name_that_does_not_resolve_is_an_outage() -> None:
    async with connect("redis://store.invalid:6379/0") as redis:
        with pytest.raises(StoreOutage):
            await _command(redis)


async def test_missing_socket_is_an_outage(tmp_path: Path) -> None:
    async with connect(f"unix://{tmp_path}/no.sock") as redis:
        with pytest.raises(StoreOutage):
            await _command(redis)


async def test_sentinels_that_are_away_are_an_outage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis+sentinel://127.0.0.1:{taken.getsockname()[1]}/mymaster"
        async with connect(url) as redis:
            with pytest.raises(StoreOutage):
                await _command(redis)


@pytest.mark.long
async def test_silent_server_is_an_outage(own_store: EmbeddedStore) -> None:
    assert own_store.pid is not None
    async with connect(own_store.url, timeout_s=0.5) as redis:
        await _command(redis)
        os.kill(own_store.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreOutage):
                await _command(redis)
        finally:
            os.kill(own_store.pid, signal.SIGCONT)


async def test_exhausted_pool_is_an_outage(own_store: EmbeddedStore) -> None:
    async with connect(own_store.url, connections=1, timeout_s=2.0) as redis:
        held = await redis.connection_pool.get_connection()
        with pytest.raises(StoreOutage):
            await _command(redis)
        await redis.connection_pool.release(held)
        assert await _command(redis)


@pytest.mark.parametrize("ask", WRITES)
async def test_full_memory_of_a_real_server_is_an_outage(own_store: EmbeddedStore, ask: Ask) -> None:
    async with connect(own_store.url) as redis:
        await redis.config_set("maxmemory", "1")
        with pytest.raises(StoreOutage):
            await ask(redis)
        await redis.config_set("maxmemory", "0")
        assert await ask(redis)


@pytest.mark.parametrize("ask", WRITES)
async def test_read_only_replica_is_an_outage(own_store: EmbeddedStore, ask: Ask) -> None:
    async with connect(own_store.url) as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreOutage):
            await ask(redis)
        await redis.execute_command("REPLICAOF", "NO", "ONE")
        assert await ask(redis)


async def test_lost_subscription_is_an_outage(own_store: EmbeddedStore) -> None:
    redis = connect_for_pubsub(own_store.url)
    async with redis, connect(own_store.url) as other, redis.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        await pubsub.get_message(timeout=2)
        await other.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        with pytest.raises(StoreOutage):
            await pubsub.get_message(timeout=2)


async def test_wrong_type_inside_a_script_is_a_bug(redis: Redis) -> None:
    await redis.set(key("circuit"), "no hash", px=60_000)
    with pytest.raises(ResponseError) as caught:
        await Script("queue/allow_trial")(redis)
    assert not isinstance(caught.value, StoreOutage)


async def test_pipeline_reads_on_behind_a_refusal(own_store: EmbeddedStore) -> None:
    async with connect(own_store.url, connections=1) as redis:
        await redis.config_set("maxmemory", "1")
        pipe = redis.pipeline(transaction=False)
        pipe.set("key", "value")
        pipe.get("key")
        pipe.get("other")
        first, *others = await pipe.execute(raise_on_error=False)
        assert isinstance(first, StoreOutage)
        assert others == [None, None]
        assert await command(redis, "PING")
