"""Writes the records of a backup into an empty store, and settles what was unfinished then.

Who calls it: the restore alone. It queues nothing, and takes no key that a backup would not have kept.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.typing import EncodableT, FieldT

from image2model.domain import ImageError
from image2model.store.dump import Record, kind_of
from image2model.store.keys import PREFIX
from image2model.store.script import Script

_SETTLE: Final = Script("settle_restored")
_MAY_BE_THERE: Final = frozenset(
    {"signing_secret", "webhook_secret", "api_key", "api_keys", "account", "spend"}
)
"""What a service makes by itself when it starts, or an operator before anybody uses it."""
_UNCONFIRMED: Final = ImageError(
    code="submission_unconfirmed",
    message=(
        "This picture was unfinished when the backup was made, so it may have been paid for since. "
        "Only a retry sends it, which may pay a second time."
    ),
    retryable=True,
)

_text = msgspec.msgpack.Decoder(bytes)
_members = msgspec.msgpack.Decoder(list[bytes])
_fields = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])
_scores = msgspec.msgpack.Decoder(list[tuple[bytes, float]])
_entries = msgspec.msgpack.Decoder(list[tuple[bytes, dict[bytes, bytes]]])


async def holds_data(redis: Redis) -> bool:
    """Whether the store has been in use: jobs, or traces of them. Keys and budgets alone are no use yet."""
    async for name in redis.scan_iter(match=f"{PREFIX}*", count=1000):
        kind = kind_of(name.decode())
        if kind is not None and kind not in _MAY_BE_THERE:
            return True
    return False


async def write(redis: Redis, records: Sequence[Record], *, shift_ms: int) -> None:
    """Write records; their lives go on as if the time since the backup, `shift_ms`, had not passed.

    Raises StoreOutage, and msgspec.DecodeError for a record that no backup of ours wrote.
    """
    pipe = redis.pipeline(transaction=False)
    for record in records:
        _write(pipe, record)
        if record.expires_at:
            pipe.pexpireat(record.name, record.expires_at + shift_ms)
        if record.kind == "job":
            _postpone(pipe, record, shift_ms)
    await pipe.execute()


async def settle(redis: Redis, job_id: str) -> int:
    """Fail what was unfinished in a restored job; returns how many images. Raises StoreOutage."""
    error = msgspec.json.encode(_UNCONFIRMED).decode()
    return int(await _SETTLE.packed(redis, job_id, error))


async def release_accounts(redis: Redis, names: Sequence[str]) -> None:
    """Before jobs are settled: what these accounts count is of images under way then. `names` are keys."""
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.hset(name, mapping={"unfinished": 0, "reserved": 0})
    await pipe.execute()


def _write(pipe: Pipeline, record: Record) -> None:
    name, value = record.name, bytes(record.value)
    if record.type == "string":
        pipe.set(name, _text.decode(value))
    elif record.type == "set":
        pipe.sadd(name, *_members.decode(value))
    elif record.type == "zset":
        pipe.zadd(name, dict(_scores.decode(value)))
    elif record.type == "hash":
        pipe.hset(name, mapping=dict(_fields.decode(value)))
    else:
        for entry_id, fields in _entries.decode(value):
            entry: dict[FieldT, EncodableT] = dict(fields.items())
            pipe.xadd(name, entry, id=entry_id)


def _postpone(pipe: Pipeline, record: Record, shift_ms: int) -> None:
    """The job's own word on when it expires, where it has one."""
    ends = dict(_fields.decode(bytes(record.value))).get(b"expires_at")
    if ends:
        pipe.hset(record.name, "expires_at", str(int(ends) + shift_ms))
