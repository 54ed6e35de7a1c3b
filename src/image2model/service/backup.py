"""A backup: one ZIP file with the store's lasting keys and, where asked for, the stored files.

Who calls it: the command line. The store is read first and the files after it, so that every result that
the copy speaks of is in it. The archive holds the signing secret and hashes of keys: it is for the
operator's eyes only.
"""

import gzip
import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import msgspec
from redis.asyncio import Redis

from image2model.service.zip_stream import ZipStream
from image2model.storage import layout
from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectStorage
from image2model.store import dump
from image2model.threads import in_thread

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
RECORDS: Final = "store.msgpack.gz"
FILES: Final = "files/"
LENGTH_BYTES: Final = 8
"""A record is preceded by its length, big-endian."""
_PIECE: Final = 1 << 20


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of a backup. `made_at` is ms since the epoch, `records_sha256` of the unpacked records."""

    format: int
    made_at: int
    records: int
    records_sha256: str
    jobs: int
    images: int
    files: int
    bytes: int
    with_files: bool


async def make(redis: Redis, storage: ObjectStorage | None, target: Path) -> Contents:
    """Write the backup to `target`, whole or not at all; `storage` None: without files.

    Raises StoreOutage, StorageError, OSError.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        with await in_thread(_private, part) as file:
            contents = await _Writing(file, target.parent).write(redis, storage)
            await in_thread(_sync, file)
        await in_thread(part.replace, target)
    except BaseException:
        with suppress(FileNotFoundError):
            await in_thread(part.unlink)
        raise
    return contents


def _private(path: Path) -> IO[bytes]:
    """A new file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


class _Writing:
    def __init__(self, file: IO[bytes], folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._zip = ZipStream()
        self._now_ms = int(time.time() * 1000)
        self._images: set[str] = set()
        self._records = self._jobs = self._files = self._bytes = 0

    async def write(self, redis: Redis, storage: ObjectStorage | None) -> Contents:
        with tempfile.TemporaryFile(dir=self._folder) as spool:
            digest = await self._spool(redis, spool)
            spool.seek(0)
            await in_thread(self._copy, RECORDS, spool)
        if storage is not None:
            await self._store_files(storage)
        contents = Contents(
            format=FORMAT,
            made_at=self._now_ms,
            records=self._records,
            records_sha256=digest,
            jobs=self._jobs,
            images=len(self._images),
            files=self._files,
            bytes=self._bytes,
            with_files=storage is not None,
        )
        await in_thread(self._end, msgspec.json.encode(contents))
        return contents

    async def _spool(self, redis: Redis, spool: IO[bytes]) -> str:
        """The records, packed, into a file without a name; returns the hash of what was packed."""
        digest = hashlib.sha256()
        with gzip.open(spool, "wb", compresslevel=3) as packed:
            async for record in dump.records(redis):
                data = msgspec.msgpack.encode(record)
                framed = len(data).to_bytes(LENGTH_BYTES, "big") + data
                digest.update(framed)
                await in_thread(packed.write, framed)
                self._count(record)
        return digest.hexdigest()

    def _count(self, record: dump.Record) -> None:
        self._records += 1
        if record.kind == "job":
            self._jobs += 1
        elif record.kind == "image":
            self._images.add(record.name.rpartition(":")[2])

    async def _store_files(self, storage: ObjectStorage) -> None:
        async for found in storage.list():
            owner = layout.owner_of(found.key)
            if owner is not None and owner.image_id in self._images:
                with suppress(ObjectMissing):  # deleted meanwhile, and its job with it
                    await self._store_file(storage, found.key)

    async def _store_file(self, storage: ObjectStorage, key: str) -> None:
        reader = await storage.open(key)
        modified_ms = int(reader.meta.modified.timestamp() * 1000)
        self._file.write(self._zip.begin(FILES + key, modified_ms, reader.meta.size))
        async for chunk in reader.chunks(_PIECE):
            await in_thread(lambda piece: self._file.write(self._zip.feed(piece)), chunk)
        self._files += 1
        self._bytes += reader.meta.size

    def _copy(self, name: str, source: IO[bytes]) -> None:
        self._file.write(self._zip.begin(name, self._now_ms, None))
        while piece := source.read(_PIECE):
            self._file.write(self._zip.feed(piece))

    def _end(self, manifest: bytes) -> None:
        self._file.write(self._zip.begin(MANIFEST, self._now_ms, len(manifest)))
        self._file.write(self._zip.feed(manifest) + self._zip.finish())
