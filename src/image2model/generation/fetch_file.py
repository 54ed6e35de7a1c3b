"""One file of a result, fetched once: from its host, through the probe, into the storage.

Only some buffers of a file are held, whatever its size. A file that arrives cut, or is no file at all, leaves
nothing behind. Retries are up to the caller.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

import msgspec

from image2model.decoding.memory import ByteBudget
from image2model.domain import ResultFile
from image2model.errors import DiskFull, StaleFence
from image2model.fal.download import FalDownload
from image2model.fal.files import UNKNOWN, FalFile, format_of
from image2model.generation.context import GenerationContext
from image2model.generation.suspects import Suspect
from image2model.media.glb import Measured
from image2model.media.model_probe import HEAD_BYTES, ModelProbe, NotAModel, media_type
from image2model.storage.errors import StorageError
from image2model.storage.layout import ResultNames
from image2model.store.connection import StoreOutage
from image2model.telemetry import tracing
from image2model.telemetry.unexpected import report_unexpected

_MOST_HELD: Final = 48 << 20
"""What a large file takes at once: five parts on their way into the storage, and a margin."""
_CHECK_EVERY: Final = 32 << 20
"""The disk space is checked again after so many bytes."""
_ENDED_PROCESSES: Final = "reading it has ended processes of this service"
_NOT_READ: Final = "a fault of this service kept it from being read"
_INSPECTED: Final = 1 << 20
"""Bytes of a JSON file that are read, if it is not copied, to distinguish an error from a model."""
_MEASURED_HERE: Final = 1 << 18
"""Bytes of a GLB's JSON that this process reads: more would block it, even in a thread."""
_CONTAINERS: Final = frozenset({"3mf", "usdz", "sog"})
"""Formats whose bytes are a ZIP archive."""
_TEXTS: Final = frozenset(
    {"json", "html", "htm", "svg", "xml", "txt", "csv", "log", "md", "mtl", "yaml", "yml"}
)


class Stopwatch(Protocol):
    """Is notified who is being waited for: the host, or this service (its storage, a free slot)."""

    def host(self) -> None:
        """The host has sent something, and it is its turn again."""

    def paused(self) -> None:
        """This service is at work until the next `host`."""


class NoStopwatch:
    """For a file that is waited for in any case."""

    def host(self) -> None:
        """Nothing."""

    def paused(self) -> None:
        """Nothing."""


class Fetched(msgspec.Struct, frozen=True):
    """A file in our storage, or with I2M_RESULTS=redirect at FAL. `known`: its format is one we know."""

    file: ResultFile
    known: bool
    measured: Measured | None = None


async def fetch_file(
    context: GenerationContext,
    names: ResultNames,
    file: FalFile,
    stopwatch: Stopwatch,
    suspect: Suspect | None,
    memory: ByteBudget,
) -> Fetched:
    """Fetch it, in memory that `memory` grants.

    Raises FalError as the gateway's download does, NotAModel, StorageError, StaleFence, StoreOutage.
    """
    async with context.fal.download(file.url) as download:
        stopwatch.paused()
        async with memory.hold(min(download.size or _MOST_HELD, _MOST_HELD)):
            stopwatch.host()
            async with aclosing(download.chunks(stopwatch.host)) as chunks:
                fetching = _Fetching(context, file, download, stopwatch, suspect)
                return await fetching.run(chunks, names)


class _Fetching:
    """One open download."""

    def __init__(
        self,
        context: GenerationContext,
        file: FalFile,
        download: FalDownload,
        stopwatch: Stopwatch,
        suspect: Suspect | None,
    ) -> None:
        self._suspect = suspect
        self._context = context
        self._file = file
        self._download = download
        self._stopwatch = stopwatch
        self._probe: ModelProbe | None = None

    async def run(self, chunks: AsyncIterator[bytes], names: ResultNames) -> Fetched:
        head = await _head(chunks)
        if not head:
            raise NotAModel("it is empty")
        if self._file.rank is not None or self._file.format not in _TEXTS:
            self._probe = ModelProbe(head, self._download.size)
        if not self._context.settings.mirrors and self._context.fal.hosts.serves_media(self._file.url):
            return await self._linked(head, chunks)
        return await self._stored(head, chunks, names)

    async def _linked(self, head: bytes, chunks: AsyncIterator[bytes]) -> Fetched:
        """FAL's own URL. The open download shows that it is there."""
        if self._probe is not None and self._probe.is_json:
            await self._inspect(self._probe, head, chunks)
        size = self._download.size if self._download.size is not None else self._file.file_size
        return self._fetched(size, key=None)

    async def _inspect(self, probe: ModelProbe, head: bytes, chunks: AsyncIterator[bytes]) -> None:
        probe.feed(head)
        seen = len(head)
        async for chunk in chunks:
            probe.feed(chunk)
            seen += len(chunk)
            if seen >= _INSPECTED:
                return
        probe.end()

    async def _stored(self, head: bytes, chunks: AsyncIterator[bytes], names: ResultNames) -> Fetched:
        file_format, _ = self._format()
        key = names.key(self._file.kind, file_format)
        await self._context.disk_space.check_result(self._download.size or 0)
        try:
            with tracing.span("store") as span:
                size = await self._context.storage.put_stream(
                    key,
                    self._through(head, chunks),
                    content_type=media_type(file_format, self._content_type()),
                )
                span.set("image2model.bytes", size)
        except DiskFull as full:
            raise StorageError("the disk is full") from full
        return self._fetched(size, key, await self._measure())

    async def _through(self, head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size, next_check = 0, _CHECK_EVERY
        chunk: bytes | None = head
        while chunk is not None:
            if self._probe is not None:
                self._probe.feed(chunk)
            size += len(chunk)
            self._stopwatch.paused()
            if size >= next_check:
                next_check = size + _CHECK_EVERY
                await self._context.disk_space.check_result(0)
            yield chunk
            self._stopwatch.host()
            chunk = await anext(chunks, None)
        self._stopwatch.paused()
        if self._probe is not None:
            self._probe.end()

    async def _measure(self) -> Measured | None:
        if self._probe is None or not self._probe.json_length:
            return None if self._probe is None else self._probe.measured()
        suspect = self._suspect if self._probe.json_length <= _MEASURED_HERE else None
        try:
            measured = await self._context.hazard.run_if_safe(suspect, self._probe.measured)
        except (StaleFence, StoreOutage):
            raise
        except Exception as error:  # noqa: BLE001 - reported; a model that cannot be measured is a model all the same
            report_unexpected("measure", error)
            return Measured(None, _NOT_READ)
        return Measured(None, _ENDED_PROCESSES) if measured is None else measured

    def _fetched(self, size: int | None, key: str | None, measured: Measured | None = None) -> Fetched:
        file, (file_format, known) = self._file, self._format()
        return Fetched(
            ResultFile(
                kind=file.kind,
                format=file_format,
                size=size,
                key=key,
                source_url=None if key else file.url,
                name=None if known else _name(file),
                content_type=None if known else self._content_type(),
            ),
            known,
            measured,
        )

    def _content_type(self) -> str | None:
        return self._file.content_type or self._download.content_type

    def _format(self) -> tuple[str, bool]:
        """The format by its bytes, else as FAL states it, and whether that is a format that we know."""
        stated = self._file.format
        if self._probe is None or self._file.rank is None:
            return stated, True
        sniffed = self._probe.format
        if sniffed == "zip" and stated in _CONTAINERS:
            return stated, True
        if sniffed != "unknown":
            return sniffed, True
        if stated == UNKNOWN:
            stated = format_of(None, "", self._download.content_type)
        return stated, False


def _name(file: FalFile) -> str:
    name = file.file_name or file.url.partition("?")[0].rstrip("/")
    return name.replace("\\", "/").rpartition("/")[2][:200]


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for chunk in chunks:
        head = head + chunk if head else chunk
        if len(head) >= HEAD_BYTES:
            break
    return head
