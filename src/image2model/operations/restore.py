"""The restore: loads a backup into an empty store, and fails the images that were unfinished at the backup.

The whole file is checked before anything is written. Nothing is queued: FAL may have generated an unfinished
image since the backup, and only the user may decide to pay for it again.
"""

import gzip
import hashlib
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.typing import EncodableT, FieldT

from image2model.domain import ImageError
from image2model.errors import Image2ModelError
from image2model.media.model_probe import media_type
from image2model.operations.backup import (
    FILES,
    FORMATS,
    LENGTH_BYTES,
    MANIFEST,
    RECORDS,
    Contents,
    Record,
    kind_of,
)
from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import command
from image2model.store.identity import settle_names
from image2model.store.keys import FLEET_TTL_MS, KEYS, PLAIN_PREFIX, every_key, key, read_key
from image2model.store.scripts import Script

_FAIL_UNFINISHED: Final = Script("operations/fail_unfinished")
_ALLOWED_KINDS: Final = frozenset(
    {"signing_secret", "webhook_secret", "api_key", "api_keys", "account", "spend"}
)
"""Kinds of keys that a new service or its operator creates before the first job."""
_UNCONFIRMED: Final = ImageError(
    code="submission_unconfirmed",
    message=(
        "This picture was unfinished when the backup was made, and FAL may have charged for it since. "
        "Retry it to send it again, which may charge a second time."
    ),
    retryable=True,
)
_text = msgspec.msgpack.Decoder(bytes)
_members = msgspec.msgpack.Decoder(list[bytes])
_fields = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])
_scores = msgspec.msgpack.Decoder(list[tuple[bytes, float]])
_entries = msgspec.msgpack.Decoder(list[tuple[bytes, dict[bytes, bytes]]])
_BATCH: Final = 200
_manifest: Final = msgspec.json.Decoder(Contents)
_record: Final = msgspec.msgpack.Decoder(Record)
_PIECE: Final = 1 << 20
_MAX_RECORD_BYTES: Final = 1 << 30


class BackupUnusable(Image2ModelError):
    """The file is not a backup of this program, or it is damaged."""


class StoreNotEmpty(Image2ModelError):
    """The store has jobs already."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored. `unconfirmed`: images that were unfinished and have now failed."""

    jobs: int
    images: int
    files: int
    unconfirmed: int


async def restore(redis: Redis, storage: ObjectStorage, source: Path) -> Restored:
    """Restore a backup into an empty store.

    Raises BackupUnusable, StoreNotEmpty, StoreOutage, StorageError, DiskFull, OSError.
    """
    try:
        with await in_thread(zipfile.ZipFile, source) as archive:
            return await _restore(redis, storage, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, msgspec.DecodeError, KeyError) as bad:
        raise BackupUnusable(f"{source} is not a complete backup of image2model: {bad}") from bad


async def _restore(redis: Redis, storage: ObjectStorage, archive: zipfile.ZipFile) -> Restored:
    contents = await in_thread(_contents, archive)
    await in_thread(_check_records, archive, contents)
    if await holds_data(redis):
        raise StoreNotEmpty("The store has jobs already. Restore into an empty store.")
    await settle_names(redis)
    files = await _restore_files(storage, archive)
    names = await _restore_records(redis, archive, contents)
    await reset_accounts(redis, names["account"])
    await note_owners(redis, names["owner_jobs"])
    unconfirmed = 0
    for job in names["job"]:
        unconfirmed += await fail_unfinished(redis, job.rpartition(":")[2])
    return Restored(jobs=len(names["job"]), images=len(names["image"]), files=files, unconfirmed=unconfirmed)


def _contents(archive: zipfile.ZipFile) -> Contents:
    contents = _manifest.decode(archive.read(MANIFEST))
    if contents.format not in FORMATS:
        raise BackupUnusable(
            f"This backup has format {contents.format}, but this version reads up to format {FORMATS[-1]}. "
            "Restore it with the version that made it."
        )
    return contents


def _check_records(archive: zipfile.ZipFile, contents: Contents) -> None:
    """Check, before anything is written, that the records are complete and match the manifest."""
    digest = hashlib.sha256()
    number = 0
    with archive.open(RECORDS) as packed, gzip.open(packed) as records:
        for framed in _frames(records):
            digest.update(framed)
            number += 1
    if (number, digest.hexdigest()) != (contents.records, contents.records_sha256):
        raise BackupUnusable("The records in this backup do not match its manifest. Use another backup.")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _frames(records: _Readable) -> Iterator[bytes]:
    while length := records.read(LENGTH_BYTES):
        size = int.from_bytes(length, "big")
        if size > _MAX_RECORD_BYTES or len(data := records.read(size)) != size:
            raise EOFError("a record is cut off")
        yield length + data


async def _restore_records(
    redis: Redis, archive: zipfile.ZipFile, contents: Contents
) -> Mapping[str, list[str]]:
    """Write all records; return their key names by kind."""
    shift_ms = max(0, int(time.time() * 1000) - contents.made_at)
    names: defaultdict[str, list[str]] = defaultdict(list)
    with archive.open(RECORDS) as packed, gzip.open(packed) as stream:
        frames = _frames(stream)
        while batch := await in_thread(_next_batch, frames):
            kept = [record for record in batch if record.kind is not None]
            await write(redis, kept, shift_ms=shift_ms)
            for record in kept:
                names[record.kind or ""].append(record.name)
    return names


def _next_batch(frames: Iterator[bytes]) -> list[Record]:
    found: list[Record] = []
    for framed in frames:
        found.append(_record.decode(framed[LENGTH_BYTES:]))
        if len(found) == _BATCH:
            break
    return found


async def _restore_files(storage: ObjectStorage, archive: zipfile.ZipFile) -> int:
    restored = 0
    for name in archive.namelist():
        stored = name.removeprefix(FILES)
        if name.startswith(FILES) and layout.owner_of(stored) is not None:
            with archive.open(name) as file:
                kind = media_type(stored.rpartition(".")[2])
                await storage.put_stream(stored, _chunks(file), content_type=kind)
            restored += 1
    return restored


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await in_thread(file.read, _PIECE):
        yield piece


async def holds_data(redis: Redis) -> bool:
    """Whether the store has jobs or traces of jobs. API keys and budgets do not count."""
    async for name in redis.scan_iter(match=every_key(), count=1000):
        kind = kind_of(read_key(name).plain)
        if kind is not None and kind not in _ALLOWED_KINDS:
            return True
    return False


async def write(redis: Redis, records: Sequence[Record], *, shift_ms: int) -> None:
    """Write records, and postpone their expiry by `shift_ms`, the time since the backup.

    Raises StoreOutage, and msgspec.DecodeError for a record that is not ours.
    """
    pipe = redis.pipeline(transaction=False)
    for record in records:
        _write(pipe, record)
        if record.expires_at:
            pipe.pexpireat(read_key(record.name), record.expires_at + shift_ms)
        if record.kind == "job":
            pipe.hdel(record.name, "store")  # it names the store that was backed up
            _shift_expiry(pipe, record, shift_ms)
    await pipe.execute()


def _write(pipe: Pipeline, record: Record) -> None:
    name, value = read_key(record.name), bytes(record.value)
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


def _shift_expiry(pipe: Pipeline, record: Record, shift_ms: int) -> None:
    """Postpone the expiry that the job's own fields hold, if there is one."""
    ends = dict(_fields.decode(bytes(record.value))).get(b"expires_at")
    if ends:
        pipe.hset(read_key(record.name), "expires_at", str(int(ends) + shift_ms))


async def reset_accounts(redis: Redis, names: Sequence[str]) -> None:
    """Reset what accounts count and reserve for images under way. `names` are the accounts' plain names."""
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.hset(read_key(name), mapping={"unfinished": 0, "reserved": 0})
    await pipe.execute()


async def note_owners(redis: Redis, names: Sequence[str]) -> None:
    """Make the owners of these lists of jobs known again: no backup keeps their set."""
    before, after = (PLAIN_PREFIX + KEYS["owner_jobs"].template).split("{}")
    if owners := [name.removeprefix(before).removesuffix(after) for name in names]:
        await command(redis, "SADD", key("owners"), *owners)
        await command(redis, "PEXPIRE", key("owners"), FLEET_TTL_MS)


async def fail_unfinished(redis: Redis, job_id: str) -> int:
    """Fail the unfinished images of a restored job; return how many. Raises StoreOutage."""
    error = msgspec.json.encode(_UNCONFIRMED).decode()
    return int(await _FAIL_UNFINISHED.packed(redis, job_id, error))
