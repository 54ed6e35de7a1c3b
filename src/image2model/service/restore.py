"""A backup back into an empty store and its files. Nothing is queued: what was unfinished has failed.

Who calls it: the command line. It reads an archive as it would a stranger's: only keys and files that a
backup keeps are taken, whatever else is in it.
"""

import gzip
import hashlib
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec
from redis.asyncio import Redis

from image2model.errors import Image2ModelError
from image2model.service.backup import FILES, FORMAT, LENGTH_BYTES, MANIFEST, RECORDS, Contents
from image2model.service.media_types import media_type
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store import refill
from image2model.store.dump import Record
from image2model.threads import in_thread

_AT_ONCE: Final = 200
_manifest: Final = msgspec.json.Decoder(Contents)
_record: Final = msgspec.msgpack.Decoder(Record)
_PIECE: Final = 1 << 20
_LARGEST_RECORD: Final = 1 << 30


class BackupUnusable(Image2ModelError):
    """The file is no backup of ours, or is damaged. Nothing was changed unless the words say so."""


class StoreNotEmpty(Image2ModelError):
    """There are jobs in the store already."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `unconfirmed`: images that were unfinished, and have failed now."""

    jobs: int
    images: int
    files: int
    unconfirmed: int


async def restore(redis: Redis, storage: ObjectStorage, source: Path) -> Restored:
    """Raises BackupUnusable, StoreNotEmpty, StoreOutage, StorageError, DiskFull, OSError."""
    try:
        with await in_thread(zipfile.ZipFile, source) as archive:
            return await _restore(redis, storage, archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, msgspec.DecodeError, KeyError) as bad:
        raise BackupUnusable(f"{source} is no whole backup of image2model: {bad}") from bad


async def _restore(redis: Redis, storage: ObjectStorage, archive: zipfile.ZipFile) -> Restored:
    contents = await in_thread(_contents, archive)
    await in_thread(_check_records, archive, contents)
    if await refill.holds_data(redis):
        raise StoreNotEmpty("The store has jobs already. Restore into an empty one only.")
    files = await _restore_files(storage, archive)
    names = await _restore_records(redis, archive, contents)
    await refill.release_accounts(redis, names["account"])
    unconfirmed = 0
    for job in names["job"]:
        unconfirmed += await refill.settle(redis, job.rpartition(":")[2])
    return Restored(jobs=len(names["job"]), images=len(names["image"]), files=files, unconfirmed=unconfirmed)


def _contents(archive: zipfile.ZipFile) -> Contents:
    contents = _manifest.decode(archive.read(MANIFEST))
    if contents.format != FORMAT:
        raise BackupUnusable(f"This backup has format {contents.format}; this version reads {FORMAT}.")
    return contents


def _check_records(archive: zipfile.ZipFile, contents: Contents) -> None:
    """Before anything is written: the records are whole, and what the manifest says."""
    digest = hashlib.sha256()
    number = 0
    with archive.open(RECORDS) as packed, gzip.open(packed) as records:
        for framed in _frames(records):
            digest.update(framed)
            number += 1
    if (number, digest.hexdigest()) != (contents.records, contents.records_sha256):
        raise BackupUnusable("The records in this backup are not those that its manifest tells of.")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _frames(records: _Readable) -> Iterator[bytes]:
    while length := records.read(LENGTH_BYTES):
        size = int.from_bytes(length, "big")
        if size > _LARGEST_RECORD or len(data := records.read(size)) != size:
            raise EOFError("a record is cut off")
        yield length + data


async def _restore_records(
    redis: Redis, archive: zipfile.ZipFile, contents: Contents
) -> Mapping[str, list[str]]:
    """Write them all; returns their names by kind."""
    shift_ms = max(0, int(time.time() * 1000) - contents.made_at)
    names: defaultdict[str, list[str]] = defaultdict(list)
    with archive.open(RECORDS) as packed, gzip.open(packed) as stream:
        frames = _frames(stream)
        while batch := await in_thread(_some, frames):
            kept = [record for record in batch if record.kind is not None]
            await refill.write(redis, kept, shift_ms=shift_ms)
            for record in kept:
                names[record.kind or ""].append(record.name)
    return names


def _some(frames: Iterator[bytes]) -> list[Record]:
    found: list[Record] = []
    for framed in frames:
        found.append(_record.decode(framed[LENGTH_BYTES:]))
        if len(found) == _AT_ONCE:
            break
    return found


async def _restore_files(storage: ObjectStorage, archive: zipfile.ZipFile) -> int:
    restored = 0
    for name in archive.namelist():
        key = name.removeprefix(FILES)
        if name.startswith(FILES) and layout.owner_of(key) is not None:
            with archive.open(name) as file:
                kind = media_type(key.rpartition(".")[2])
                await storage.put_stream(key, _chunks(file), content_type=kind)
            restored += 1
    return restored


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await in_thread(file.read, _PIECE):
        yield piece
