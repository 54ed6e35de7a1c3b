"""A service as the revision before left it: its store and its files, as lines of JSON.

Who calls it: the maker writes one, the test of the takeover loads it. Values are kept as Latin-1 text, files
as base64. Moments near its making are moved to now, and addresses on loopback become those of the test: a
port has five digits in both, for lengths are part of what is packed.
"""

import re
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from image2model.store.arq_keys import FOLLOW_AT
from image2model.store.connection import command

PATH: Final = Path(__file__).with_name("8adfc9c.jsonl")
_MOMENT: Final = re.compile(r"1[0-9]{12}")
_GONE: Final = -2
_YEAR_MS: Final = 366 * 86_400_000


class AtFal(msgspec.Struct, frozen=True, kw_only=True):
    """A request that FAL had. `url` is the picture's."""

    request_id: str
    endpoint: str
    url: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line. `jobs`: ids by what they show; `keys`: API keys by their owner; times in ms."""

    made_at: int
    fal: str
    receiver: str
    jobs: dict[str, str]
    keys: dict[str, str]
    at_fal: dict[str, AtFal]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the store; `life_ms` -1: it lives for ever. `value` is as its type's writer wants it."""

    key: str
    type: str
    life_ms: int
    value: Any


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the storage."""

    file: str
    data: bytes


async def keys_of(redis: Redis) -> list[Key]:
    """Every key as it is now, running processes' own included."""
    found = []
    for name in sorted([name async for name in redis.scan_iter(count=1000)]):
        kind = (await command(redis, "TYPE", name)).decode()
        life = await command(redis, "PTTL", name)
        if life != _GONE:
            found.append(Key(key=_text(name), type=kind, life_ms=life, value=await _read(redis, name, kind)))
    return found


def files_of(folder: Path) -> list[File]:
    """Every file below the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [File(file=str(p.relative_to(folder)), data=p.read_bytes()) for p in paths]


def write(head: Head, keys: list[Key], files: list[File], path: Path = PATH) -> None:
    """The whole fixture."""
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in (head, *keys, *files)))


async def load(redis: Redis, folder: Path, fal: str, receiver: str, path: Path = PATH) -> Head:
    """Into an empty store and folder, as of now. `fal` and `receiver` are where these are now."""
    first, *lines = path.read_text("utf-8").splitlines()
    head = msgspec.json.decode(first, type=Head)
    for here, there in ((fal, head.fal), (receiver, head.receiver)):
        assert len(here) == len(there), f"{here} must be as long as {there}"
        lines = [line.replace(there, here) for line in lines]
    shift = int(time.time() * 1000) - head.made_at
    for line in lines:
        if line.startswith('{"file"'):
            file = msgspec.json.decode(line, type=File)
            target = folder / file.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.data)
        else:
            await _write(redis, msgspec.json.decode(line, type=Key), _Clock(head.made_at, shift))
    return head


class _Clock:
    """Moves moments near the making, by so many ms."""

    def __init__(self, made_at: int, shift: int) -> None:
        self._made_at = made_at
        self._shift = shift

    def score(self, value: float) -> float:
        """A time, or one of an image at FAL that is looked at again then."""
        if self._is_moment(value):
            return value + self._shift
        return value + self._shift if self._is_moment(value - FOLLOW_AT) else value

    def text(self, value: str) -> str:
        """A field that is a moment and nothing else."""
        if _MOMENT.fullmatch(value) and self._is_moment(int(value)):
            return str(int(value) + self._shift)
        return value

    def _is_moment(self, value: float) -> bool:
        return abs(value - self._made_at) < _YEAR_MS


async def _read(redis: Redis, name: bytes, kind: str) -> Any:
    if kind == "string":
        return _text(await command(redis, "GET", name))
    if kind == "hash":
        return {_text(field): _text(value) for field, value in (await redis.hgetall(name.decode())).items()}
    if kind == "set":
        return sorted(map(_text, await redis.smembers(name.decode())))
    if kind == "zset":
        return [[_text(member), score] for member, score in await redis.zrange(name, 0, -1, withscores=True)]
    assert kind == "stream", kind
    entries = await redis.xrange(name)
    return [[_text(i), {_text(f): _text(v) for f, v in fields.items()}] for i, fields in entries]


async def _write(redis: Redis, key: Key, clock: _Clock) -> None:
    name = _bytes(key.key)
    if key.type == "string":
        await command(redis, "SET", name, _bytes(clock.text(key.value)))
    elif key.type == "hash":
        pairs = [_bytes(part) for field, value in key.value.items() for part in (field, clock.text(value))]
        await command(redis, "HSET", name, *pairs)
    elif key.type == "set":
        await command(redis, "SADD", name, *map(_bytes, key.value))
    elif key.type == "zset":
        for member, score in key.value:
            await command(redis, "ZADD", name, repr(clock.score(score)), _bytes(member))
    else:
        for entry, fields in key.value:
            pairs = [_bytes(part) for pair in fields.items() for part in pair]
            await command(redis, "XADD", name, entry, *pairs)
    if key.life_ms >= 0:
        await command(redis, "PEXPIRE", name, max(key.life_ms, 1))


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")
