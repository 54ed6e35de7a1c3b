"""The object storage: put, read, list, copy and delete objects by key, with a deadline for each call.

Keys have a narrow alphabet on purpose: a key is one path below the root on every file system, needs no
quoting in a URL, and can never name one of obstore's `#1` files.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
import obstore

from image2model.shielded import in_thread, run_to_end
from image2model.storage.directories import in_its_directory
from image2model.storage.errors import bucket_missing, translated
from image2model.storage.local_folder import Buffer, LocalFolder
from image2model.storage.signing import RemoteStore, Store, UrlSigner
from image2model.storage.streamed_put import PART_BYTES, StreamedPut, file_chunks, head_of

# 200, not 255: the file system must still take the name of the file that is being written.
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}", re.ASCII)
_MAX_LENGTH = 900
CHUNK_BYTES = 1024 * 1024
DEADLINE_S = 60.0
MIN_FREE_BYTES = 256 << 20
"""Free disk space below which no new work is accepted: see `free_bytes`."""
_LIST_PAGE = 1000
_DELETES_AT_ONCE = 16
_SMALL: Final = 1 << 20
"""A folder's files up to this size are written without obstore, whose way through its threads costs more."""
_FOLDER_THREADS: Final = 2
"""A disk gains nothing by more, and they would wait for each other's directories."""


T = TypeVar("T")


class ObjectMeta(msgspec.Struct, frozen=True):
    """An object without its bytes. `size` in bytes; `etag` changes with the content."""

    key: str
    size: int
    etag: str | None
    modified: datetime


class ObjectReader:
    """The bytes from `start` to `end` (exclusive) of one object; `meta` describes the whole object."""

    def __init__(self, result: "obstore.GetResult", deadline_s: float) -> None:
        self.meta = meta_of(result.meta)
        self.start, self.end = result.range
        self._result = result
        self._deadline_s = deadline_s

    async def read(self) -> bytes:
        """All of it at once. Raises StorageError."""
        with translated(f"read {self.meta.key}"):
            async with asyncio.timeout(self._deadline_s):
                return (await self._result.bytes_async()).to_bytes()

    async def chunks(self, size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Pieces of at least `size` bytes, the last one shorter. Raises StorageError."""
        if self.start == self.end:
            return
        stream = self._result.stream(min_chunk_size=size)
        while True:
            with translated(f"read {self.meta.key}"):
                try:
                    async with asyncio.timeout(self._deadline_s):
                        chunk = await anext(stream)
                except StopAsyncIteration:
                    return
            yield bytes(chunk)


class ObjectStorage:
    """One storage. Safe to share by all tasks of one event loop.

    Methods raise StorageError, and ValueError for a string that is not a key. `is_remote`: it is in a cloud.
    `signs`: a cloud's URLs can be signed, if the credentials can.
    """

    def __init__(
        self,
        store: Store,
        *,
        folder: LocalFolder | None = None,
        deadline_s: float = DEADLINE_S,
        signs: bool = True,
    ) -> None:
        self._store = store
        self._folder = folder
        self._threads = ThreadPoolExecutor(_FOLDER_THREADS, "folder") if folder is not None else None
        self._deadline_s = deadline_s
        self.is_remote = isinstance(store, RemoteStore)
        self._signer = UrlSigner(store, deadline_s) if isinstance(store, RemoteStore) and signs else None

    async def put(
        self, key: str, data: Buffer | Sequence[Buffer], *, content_type: str, filename: str | None = None
    ) -> None:
        """Store `data`, one buffer or several in sequence, without copying. A reader sees all or nothing.

        Buffers must not change until this returns. One buffer is fastest: each costs a separate write.
        `filename` is the name under which a cloud's storage offers the object as a download. Raises DiskFull.
        """
        check_key(key)
        attributes = self._attributes(content_type, filename)
        with translated(f"put {key}"):
            await self._cleaned_up(key, run_to_end(self._putting(key, data, attributes), self._deadline_s))

    async def put_stream(
        self, key: str, chunks: AsyncIterator[bytes], *, content_type: str, filename: str | None = None
    ) -> int:
        """Store what `chunks` yields, holding at most five parts of 8 MiB. Returns the size in bytes.

        A failed or cancelled call leaves no object; an exception of `chunks` is raised unchanged. The
        deadline bounds how long the storage takes for each chunk; how long `chunks` may take is up to the
        caller. Raises DiskFull.
        """
        check_key(key)
        head, more = await head_of(chunks, PART_BYTES)
        if not more:
            await self.put(key, head, content_type=content_type, filename=filename)
            return sum(map(len, head))
        attributes = self._attributes(content_type, filename)
        upload = StreamedPut(self._store, self._folder, key, attributes, self._deadline_s)
        return await self._cleaned_up(key, upload.run(head, chunks))

    async def put_file(self, key: str, path: Path, *, content_type: str, filename: str | None = None) -> int:
        """Store a local file, read piece by piece. Returns its size. Raises DiskFull, OSError."""
        async with aclosing(file_chunks(path)) as chunks:
            return await self.put_stream(key, chunks, content_type=content_type, filename=filename)

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectMissing."""
        if self._folder is None:
            return await (await self.open(key)).read()
        with translated(f"get {check_key(key)}"):
            return await run_to_end(self._in_folder(self._folder.read, key), self._deadline_s)

    async def open(self, key: str, *, start: int = 0, end: int | None = None) -> ObjectReader:
        """An object, or its bytes from `start` to `end` (exclusive), for reading. Raises ObjectMissing."""
        options: obstore.GetOptions = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with translated(f"open {check_key(key)}"):
            async with asyncio.timeout(self._deadline_s):
                result = await obstore.get_async(self._store, key, options=options)
        return ObjectReader(result, self._deadline_s)

    async def stream(self, key: str, chunk_size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """The object in pieces of at least `chunk_size` bytes. Raises ObjectMissing with the first piece."""
        reader = await self.open(key)
        async for chunk in reader.chunks(chunk_size):
            yield chunk

    async def head(self, key: str) -> ObjectMeta:
        """Size, etag and time of an object. Raises ObjectMissing."""
        with translated(f"head {check_key(key)}"):
            async with asyncio.timeout(self._deadline_s):
                return meta_of(await obstore.head_async(self._store, key))

    async def list(self, prefix: str | None = None) -> AsyncIterator[ObjectMeta]:
        """Every object below `prefix` (whole segments; None: all), in no order."""
        where = None if prefix is None else check_prefix(prefix)
        pages = obstore.list(self._store, where, chunk_size=_LIST_PAGE)
        while True:
            with translated(f"list {where or 'everything'}"):
                try:
                    async with asyncio.timeout(self._deadline_s):
                        page = await anext(pages)
                except StopAsyncIteration:
                    return
            for found in page:
                yield meta_of(found)

    async def copy(self, source: str, key: str) -> None:
        """Copy an object inside the storage: a cloud copies by itself, a folder makes a hard link.

        Raises ObjectMissing for the source, DiskFull.
        """
        check_key(source)
        check_key(key)
        with translated(f"copy {source}"):
            await self._cleaned_up(key, run_to_end(self._copy(source, key), self._deadline_s))

    async def _copy(self, source: str, key: str) -> None:
        await in_its_directory(self._folder, key, lambda: obstore.copy_async(self._store, source, key))

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing one counts as deleted. Directories that become empty are removed."""
        checked = [check_key(key) for key in keys]
        if checked:
            with translated(f"delete {len(checked)} objects"):
                await run_to_end(self._delete_all(checked), self._deadline_s)

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below `prefix`. Returns how many there were."""
        where = check_prefix(prefix)
        keys = [found.key async for found in self.list(where)]
        await self.delete(keys)
        if self._folder is not None:
            await in_thread(self._folder.prune_below, where)
        return len(keys)

    async def presign(self, key: str, expires_s: int) -> str | None:
        """A URL that reads the object without credentials for `expires_s` seconds.

        None where the storage has no such URLs (a folder, memory), and where the credentials cannot sign
        one: a SAS token, or an identity that may not. The URL has the endpoint that this process uses, and
        offers the file under the `filename` given to `put`.
        """
        check_key(key)
        return None if self._signer is None else await self._signer.sign(key, expires_s)

    async def free_bytes(self) -> int | None:
        """Free bytes on the disk of a folder; None where the storage uses no local disk."""
        if self._folder is None:
            return None
        with translated("free space"):
            return await asyncio.to_thread(self._folder.free_bytes)

    async def sweep_staged(self, older_than_s: float = 3600) -> int:
        """Remove half-written files of killed processes from a folder. Returns how many.

        Azure does that itself after a week; on S3 and at Google it takes a lifecycle rule of the bucket.
        """
        if self._folder is None:
            return 0
        with translated("remove half-written files"):
            return await in_thread(self._folder.remove_staged, older_than_s)

    def _attributes(self, content_type: str, filename: str | None) -> "obstore.Attributes | None":
        if self._folder is not None:
            return None  # a file system has nowhere to keep them, and obstore refuses them
        attributes: obstore.Attributes = {"Content-Type": content_type}
        if filename is not None:
            attributes["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return attributes

    async def _cleaned_up(self, key: str, putting: Awaitable[T]) -> T:
        """Await a put; if it fails, remove the directories that it made."""
        try:
            return await putting
        except BaseException:
            if self._folder is not None:
                await asyncio.shield(in_thread(self._folder.prune_above, key))
            raise

    def _in_folder(self, call: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _putting(
        self, key: str, data: Buffer | Sequence[Buffer], attributes: "obstore.Attributes | None"
    ) -> "Coroutine[Any, Any, None] | asyncio.Future[None]":
        buffers = [data] if isinstance(data, Buffer) else data
        if self._folder is not None and sum(memoryview(buffer).nbytes for buffer in buffers) <= _SMALL:
            return self._in_folder(self._folder.write, key, buffers)
        return self._put_whole(key, data, attributes)

    async def _put_whole(
        self, key: str, data: Buffer | Sequence[Buffer], attributes: "obstore.Attributes | None"
    ) -> None:
        # Not multipart: that would copy the buffer and take three requests.
        await in_its_directory(
            self._folder,
            key,
            lambda: obstore.put_async(self._store, key, data, attributes=attributes, use_multipart=False),
        )

    async def _delete_all(self, keys: Sequence[str]) -> None:
        try:
            await obstore.delete_async(self._store, keys)
        except FileNotFoundError as error:
            if bucket_missing(error):
                raise
            # A folder, Azure and Google stop at the first missing object, so delete one by one.
            places = asyncio.Semaphore(_DELETES_AT_ONCE)
            try:
                async with asyncio.TaskGroup() as group:
                    for key in keys:
                        group.create_task(self._delete_one(key, places))
            except BaseExceptionGroup as failed:
                raise failed.exceptions[0] from failed

    async def _delete_one(self, key: str, places: asyncio.Semaphore) -> None:
        async with places:
            with suppress(FileNotFoundError):
                await obstore.delete_async(self._store, key)


def check_key(key: str) -> str:
    """`key` itself. Raises ValueError unless it is `segment/segment/…` of letters, digits, `.`, `_`, `-`."""
    if len(key) <= _MAX_LENGTH and all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        return key
    raise ValueError(f"{key[:120]!r} is not a storage key: use segments of A-Z a-z 0-9 . _ - joined by '/'")


def check_prefix(prefix: str) -> str:
    """`prefix` without a closing slash; it is made of whole segments, and is not empty."""
    return check_key(prefix.removesuffix("/"))


def meta_of(found: "obstore.ObjectMeta") -> ObjectMeta:
    """Our Struct of obstore's object metadata."""
    return ObjectMeta(found["path"], found["size"], found["e_tag"], found["last_modified"])
