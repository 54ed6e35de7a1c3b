"""A script that buffers hashes sees what it has written, and the store gets the same as without a buffer."""

import pytest
from redis.asyncio import Redis

from image2model.store.keys import FIRST_CELL, TAG
from image2model.store.scripts import library, link

HASH = f"{TAG}store:buffered"
TTL = 60_000


async def run(redis: Redis, body: str) -> object:
    """The reply of a script with this body, in which `H` is the hash."""
    return await redis.eval(link(library(), f"local H = '{HASH}'\n{body}"), 1, FIRST_CELL)


async def commands(redis: Redis) -> int:
    """How many commands on hashes the store has executed, those of scripts included."""
    stats = await redis.info("commandstats")
    return sum(row["calls"] for name, row in stats.items() if name.startswith("cmdstat_h"))


@pytest.mark.parametrize(
    ("body", "reply", "left"),
    [
        ("call('HSET', H, 'a', 5); return call('HGET', H, 'a')", b"5", {b"a": b"5", b"b": b"x"}),
        ("return call('HINCRBY', H, 'a', 2)", 3, {b"a": b"3", b"b": b"x"}),
        ("return call('HINCRBY', H, 'new', 2)", 2, {b"a": b"1", b"b": b"x", b"new": b"2"}),
        ("return call('HDEL', H, 'b', 'none')", 1, {b"a": b"1"}),
        ("return call('HSETNX', H, 'a', 9)", 0, {b"a": b"1", b"b": b"x"}),
        ("call('HDEL', H, 'a'); return call('HSETNX', H, 'a', 9)", 1, {b"a": b"9", b"b": b"x"}),
        ("call('HDEL', H, 'a'); return call('HEXISTS', H, 'a')", 0, {b"b": b"x"}),
        ("return call('HMGET', H, 'b', 'none', 'a')", [b"x", None, b"1"], {b"a": b"1", b"b": b"x"}),
        ("call('HSET', H, 'c', 1); return call('HLEN', H)", 3, {b"a": b"1", b"b": b"x", b"c": b"1"}),
        ("call('HSET', H, 'a', 2); return call('DEL', H)", 1, {}),
        ("call('DEL', H); call('HSET', H, 'c', 1); return 1", 1, {b"c": b"1"}),
        (
            "call('HSET', H, 'a', 1764430165123); return 1",
            1,
            {b"a": b"1764430165123", b"b": b"x"},
        ),
    ],
)
async def test_buffered_hash_reads_and_ends_as_an_unbuffered_one(
    redis: Redis, body: str, reply: object, left: dict[bytes, bytes]
) -> None:
    for before in ("", "buffer_hash(H, {'a'})\n"):
        await redis.delete(HASH)
        await redis.hset(HASH, mapping={"a": "1", "b": "x"})
        assert await run(redis, before + body) == reply
        assert await redis.hgetall(HASH) == left


async def test_hash_is_read_once_and_written_once(redis: Redis) -> None:
    await redis.hset(HASH, mapping={"a": "1", "b": "x"})
    before = await commands(redis)
    count = "for i = 1, 9 do call('HINCRBY', H, 'a', 1) end"
    assert await run(redis, f"buffer_hash(H, {{'a', 'b'}})\n{count}\nreturn call('HGET', H, 'b')") == b"x"
    assert await commands(redis) - before == 2
    assert await redis.hget(HASH, "a") == b"10"


async def test_unchanged_fields_are_not_written(redis: Redis) -> None:
    await redis.hset(HASH, mapping={"a": "1"})
    before = await commands(redis)
    await run(redis, "buffer_hash(H, {'a'})\ncall('HSET', H, 'a', 1)\nreturn 1")
    assert await commands(redis) - before == 1


async def test_new_hash_gets_its_ttl_after_its_fields(redis: Redis) -> None:
    await run(redis, f"buffer_hash(H)\ncall('HSET', H, 'a', 1)\ncall('PEXPIRE', H, {TTL})\nreturn 1")
    assert 0 < await redis.pttl(HASH) <= TTL
