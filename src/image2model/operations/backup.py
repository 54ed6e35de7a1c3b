"""The backup: one ZIP with every lasting key of the store, as records, and with the stored files.

A record has its key's plain name, whichever the store has. A job is read with its images and history in one
transaction. Left out are keys of running processes (leases,
queues, permits), jobs that are being deleted, and the store's id, because no two stores may share it.
"""

import gzip
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from redis.asyncio import Redis

from image2model.shielded import in_thread
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.storage.layout import Owner
from image2model.storage.objects import ObjectStorage
from image2model.storage.zip_stream import ZipStream
from image2model.store.connection import command
from image2model.store.keys import KEYS, PLAIN_PREFIX, StoreKey, Ttl, every_key, key, read_key

_LEFT_OUT: Final = frozenset(
    {"owner_active", "owner_turn", "owner_low_turn", "reuse_waiting", "leases", "store"}
)
_KEPT_THOUGH_SHORT: Final = frozenset({"idempotency", "spend"})
_LASTING: Final = frozenset({Ttl.JOB, Ttl.OWNER, Ttl.FOREVER})
_PAGE: Final = 200
FORMATS: Final = (1, 2)
"""2 has results that are named as `layout.is_flat_result` says: earlier releases would leave them out."""
MANIFEST: Final = "manifest.json"
RECORDS: Final = "store.msgpack.gz"
FILES: Final = "files/"
LENGTH_BYTES: Final = 8
"""Length of the big-endian number before each record, which is the record's length."""
_PIECE: Final = 1 << 20


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest. `made_at` is ms since the epoch; `records_sha256` is over the unpacked records."""

    format: int
    made_at: int
    records: int
    records_sha256: str
    jobs: int
    images: int
    files: int
    bytes: int
    with_files: bool


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One key. `expires_at` is ms since the epoch, 0: never. The form of `value` depends on `type`:

    a string; the members of a set; the pairs of a hash or sorted set; the (id, fields) of a stream.
    """

    name: str
    type: str
    expires_at: int
    value: msgspec.Raw

    @property
    def kind(self) -> str | None:
        """The key's name in the table of keys; None if a backup does not keep it."""
        return kind_of(self.name)


async def make(redis: Redis, storage: ObjectStorage | None, target: Path) -> Contents:
    """Write the backup to `target`, complete or not at all; `storage` None: without files.

    Raises StoreOutage, StorageError, OSError.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        with await in_thread(_create_private, part) as file:
            contents = await _BackupWriter(file, target.parent).write(redis, storage)
            await in_thread(_sync, file)
        await in_thread(part.replace, target)
    except BaseException:
        with suppress(FileNotFoundError):
            await in_thread(part.unlink)
        raise
    return contents


def _pattern(template: str) -> re.Pattern[str]:
    """Ids contain no colon, except a client's own text at the end of a key."""
    first, *rest = (PLAIN_PREFIX + template).split("{}")
    ids = ["[^:]+"] * len(rest)
    if len(rest) > 1 and not rest[-1]:
        ids[-1] = ".+"
    following = (one + re.escape(part) for one, part in zip(ids, rest, strict=True))
    return re.compile(re.escape(first) + "".join(following))


def _is_kept(name: str, ttl: Ttl) -> bool:
    return name not in _LEFT_OUT and (ttl in _LASTING or name in _KEPT_THOUGH_SHORT)


_KEPT: Final = {name: _pattern(template) for name, (template, ttl, _) in KEYS.items() if _is_kept(name, ttl)}


def kind_of(name: str) -> str | None:
    """The row of the table of keys that this key belongs to, by its plain name; None if a backup does not
    keep it."""
    return next((kind for kind, pattern in _KEPT.items() if pattern.fullmatch(name)), None)


async def records(redis: Redis) -> AsyncIterator[Record]:
    """Read every lasting key. Raises StoreOutage."""
    names = [read_key(name) async for name in redis.scan_iter(match=every_key(), count=1000)]
    kinds = {name: kind_of(name.plain) for name in names}
    jobs = [name for name, kind in kinds.items() if kind == "job"]
    for job in jobs:
        for record in await _of_job(redis, job):
            yield record
    others = [name for name, kind in kinds.items() if kind not in (None, "job", "job_events", "image")]
    for start in range(0, len(others), _PAGE):
        for record in await _read(redis, others[start : start + _PAGE]):
            yield record


async def _of_job(redis: Redis, job: StoreKey) -> list[Record]:
    """A job that is being deleted is left out, because a restored store would never finish the deletion."""
    ids, deleted = await command(redis, "HMGET", job, "image_ids", "deleted")
    if ids is None or deleted == b"1":
        return []
    events = key("job_events", job.rpartition(":")[2])
    return await _read(redis, [job, events, *(key("image", one) for one in ids.decode().split())])


async def _read(redis: Redis, names: Iterable[StoreKey]) -> list[Record]:
    pipe = redis.pipeline(transaction=False)
    names = list(names)
    for name in names:
        pipe.type(name)
    types = [found.decode() for found in await pipe.execute()]
    readable = [(name, kind) for name, kind in zip(names, types, strict=True) if kind in _READERS]
    pipe = redis.pipeline(transaction=True)
    for name, kind in readable:
        pipe.pexpiretime(name)
        _READERS[kind](pipe, name)
    replies = await pipe.execute() if readable else []
    return [
        Record(name.plain, kind, max(0, replies[2 * i]), _packed(replies[2 * i + 1]))
        for i, (name, kind) in enumerate(readable)
        if replies[2 * i] != -2
    ]


def _packed(value: Any) -> msgspec.Raw:
    if isinstance(value, Mapping):
        value = list(value.items())
    elif isinstance(value, set):
        value = sorted(value)
    return msgspec.Raw(msgspec.msgpack.encode(value))


_READERS: Final = {
    "string": lambda pipe, name: pipe.get(name),
    "hash": lambda pipe, name: pipe.hgetall(name),
    "set": lambda pipe, name: pipe.smembers(name),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1, withscores=True),
    "stream": lambda pipe, name: pipe.xrange(name),
}


def _create_private(path: Path) -> IO[bytes]:
    """Create a file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


class _BackupWriter:
    def __init__(self, file: IO[bytes], folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._zip = ZipStream()
        self._now_ms = int(time.time() * 1000)
        self._images: set[str] = set()
        self._pictures_of: set[str] = set()
        self._format = FORMATS[0]
        self._records = self._jobs = self._files = self._bytes = 0

    async def write(self, redis: Redis, storage: ObjectStorage | None) -> Contents:
        with self._zip:
            return await self._write(redis, storage)

    async def _write(self, redis: Redis, storage: ObjectStorage | None) -> Contents:
        with tempfile.TemporaryFile(dir=self._folder) as spool:
            digest = await self._spool(redis, spool)
            spool.seek(0)
            await in_thread(self._copy, RECORDS, spool)
        if storage is not None:
            await self._store_files(storage)
        contents = Contents(
            format=self._format,
            made_at=self._now_ms,
            records=self._records,
            records_sha256=digest,
            jobs=self._jobs,
            images=len(self._images),
            files=self._files,
            bytes=self._bytes,
            with_files=storage is not None,
        )
        await in_thread(self._finish, msgspec.json.encode(contents))
        return contents

    async def _spool(self, redis: Redis, spool: IO[bytes]) -> str:
        """Write the packed records into `spool`; return the SHA-256 of the unpacked records."""
        digest = hashlib.sha256()
        with gzip.open(spool, "wb", compresslevel=3) as packed:
            async for record in records(redis):
                data = msgspec.msgpack.encode(record)
                framed = len(data).to_bytes(LENGTH_BYTES, "big") + data
                digest.update(framed)
                await in_thread(packed.write, framed)
                self._count(record)
        return digest.hexdigest()

    def _count(self, record: Record) -> None:
        self._records += 1
        if record.kind == "job":
            self._jobs += 1
            self._pictures_of.add(record.name.rpartition(":")[2])
        elif record.kind == "image":
            self._images.add(record.name.rpartition(":")[2])

    async def _store_files(self, storage: ObjectStorage) -> None:
        async for found in storage.list():
            owner = layout.owner_of(found.key)
            if owner is not None and self._belongs(owner):
                with suppress(ObjectMissing):  # deleted meanwhile, with its job
                    await self._store_file(storage, found.key)

    def _belongs(self, owner: Owner) -> bool:
        """Whether its record is in the backup: a picture's job, since an image may have many pictures."""
        if owner.root == layout.ORIGINALS:
            return owner.job_id in self._pictures_of
        return owner.image_id in self._images

    async def _store_file(self, storage: ObjectStorage, key: str) -> None:
        reader = await storage.open(key)
        modified_ms = int(reader.meta.modified.timestamp() * 1000)
        self._file.write(self._zip.begin(FILES + key, modified_ms, reader.meta.size))
        async for chunk in reader.chunks(_PIECE):
            await in_thread(lambda piece: self._file.write(self._zip.feed(piece)), chunk)
        if layout.is_flat_result(key):
            self._format = FORMATS[-1]
        self._files += 1
        self._bytes += reader.meta.size

    def _copy(self, name: str, source: IO[bytes]) -> None:
        self._file.write(self._zip.begin(name, self._now_ms, None))
        while piece := source.read(_PIECE):
            self._file.write(self._zip.feed(piece))

    def _finish(self, manifest: bytes) -> None:
        self._file.write(self._zip.begin(MANIFEST, self._now_ms, len(manifest)))
        self._file.write(self._zip.feed(manifest) + self._zip.finish())
