"""`GET /download/{job_id}/archive.zip`: the models of a job and `manifest.json`, streamed.

The names in the archive are unique and safe to unpack on every system. An archive is whole or the
connection is cut: no error is hidden in it. Nothing is kept in memory beyond a piece, and reading stops
when the client leaves.
"""

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from itertools import chain, count
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from image2model.access import lookup
from image2model.access.state import state_of
from image2model.domain import ImageError, Mesh, Metadata, ResultWarning
from image2model.errors import NotReady
from image2model.http import bodies, documents
from image2model.jobs.files import disposition
from image2model.jobs.state import JobsState
from image2model.money import to_usd
from image2model.shielded import in_thread
from image2model.storage.objects import ObjectStorage
from image2model.storage.zip_stream import ZipStream
from image2model.store.records import ImageRow, JobSnapshot

_PIECE: Final = 1 << 20
_MANIFEST: Final = "manifest.json"
_SEND_SECONDS: Final = 60.0
_HEADERS: Final = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}
_UNSAFE: Final = re.compile(r'[\\/:*?"<>|]')
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are never seen: control and format characters (right-to-left marks among them)."""
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_MAX_NAME_BYTES: Final = 180


def names(files: Iterable[tuple[str, str]]) -> list[str]:
    """For each (stem, format) the model's name: `chair.glb`, and on a clash `chair-2.glb`."""
    used: set[str] = set()
    return [_unique(_safe(stem), suffix, used) for stem, suffix in files]


def _unique(stem: str, suffix: str, used: set[str]) -> str:
    for number in chain(("",), (f"-{n}" for n in count(2))):
        name = f"{stem}{number}.{suffix}"
        if name.casefold() not in used:
            used.add(name.casefold())
            return name
    raise AssertionError("count() never ends")


def _safe(stem: str) -> str:
    text = unicodedata.normalize("NFC", stem)
    visible = "".join(char for char in text if unicodedata.category(char) not in _HIDDEN)
    safe = _UNSAFE.sub("_", visible).encode()[:_MAX_NAME_BYTES].decode(errors="ignore").strip(". ")
    if not safe:
        return "model"
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


class ManifestImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image. `file` is its model's name in the archive; null where the archive has none. `sha256` is null
    where its picture was never fetched.
    """

    image_id: str
    index: int
    filename: str
    sha256: str | None
    status: str
    file: str | None
    file_size: int | None
    file_sha256: str | None
    mesh: Mesh | None
    warnings: tuple[ResultWarning, ...]
    attempt: int
    cached: bool
    cost_usd: float | None
    cost_uncertain: bool
    fal_request_id: str | None
    error: ImageError | None
    metadata: Metadata
    views: tuple[documents.ViewDocument, ...]
    variant: int | None
    seed: int | None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive holds, and what is missing from it."""

    job_id: str
    model: str
    params: dict[str, object]
    status: str
    cost_usd: float
    created_at: str | None
    finished_at: str | None
    metadata: Metadata
    comparison_id: str | None
    images: tuple[ManifestImage, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One model to be packed: its name in the archive, its storage key, and its size in bytes if known."""

    name: str
    key: str
    size: int | None
    modified_ms: int


class Packed(msgspec.Struct, frozen=True):
    """A model as it went into the archive."""

    name: str
    size: int
    sha256: str


def entries(job: JobSnapshot) -> dict[str, Entry]:
    """The finished models in our storage, by image id. Raises NotReady where there is none."""
    stored = [(row, file) for row in job.images if row.result for file in row.result.files if file.key]
    models = [(row, file) for row, file in stored if file.kind == "model"]
    if not models:
        raise NotReady(_why_none(job))
    chosen = names((row.stem, file.format) for row, file in models)
    return {
        row.image_id: Entry(
            name=name, key=file.key or "", size=file.size, modified_ms=row.finished_at or row.created_at
        )
        for (row, file), name in zip(models, chosen, strict=True)
    }


def _why_none(job: JobSnapshot) -> str:
    if job.counts.succeeded:
        return "This service keeps no copies (I2M_RESULTS=redirect). Download the models one by one."
    if job.counts.unfinished:
        return "No model of this job is finished yet."
    return "No model of this job was made."


async def pieces(
    storage: ObjectStorage, job: JobSnapshot, packing: dict[str, Entry]
) -> AsyncGenerator[bytes, None]:
    """The archive. Raises StorageError; what was yielded by then is no whole archive."""
    packed: dict[str, Packed] = {}
    with ZipStream() as archive:
        for image_id, entry in packing.items():
            reader = await storage.open(entry.key)
            yield archive.begin(entry.name, entry.modified_ms, reader.meta.size)
            digest = hashlib.sha256()
            async for chunk in reader.chunks(_PIECE):
                yield await in_thread(_through, archive, digest, chunk)
            packed[image_id] = Packed(entry.name, reader.meta.size, digest.hexdigest())
        text = msgspec.json.format(msgspec.json.encode(manifest(job, packed)), indent=1)
        yield archive.begin(_MANIFEST, job.job.updated_at, len(text)) + archive.feed(text)
        yield archive.finish()


def _through(archive: ZipStream, digest: "hashlib._Hash", chunk: bytes) -> bytes:
    digest.update(chunk)
    return archive.feed(chunk)


def manifest(job: JobSnapshot, packed: dict[str, Packed]) -> Manifest:
    """The manifest of all images, whether their models are in the archive or not."""
    return Manifest(
        job_id=job.job_id,
        model=job.job.model,
        params=job.job.params,
        status=job.counts.status.value,
        cost_usd=to_usd(job.job.cost_micro),
        created_at=documents.moment(job.job.created_at),
        finished_at=documents.moment(job.job.finished_at),
        metadata=job.job.metadata,
        comparison_id=job.job.comparison_id,
        images=tuple(_image(row, packed.get(row.image_id)) for row in job.images),
    )


def _image(row: ImageRow, packed: Packed | None) -> ManifestImage:
    return ManifestImage(
        image_id=row.image_id,
        index=row.index,
        filename=row.filename,
        sha256=row.sha256,
        status=row.status.value,
        file=packed.name if packed else None,
        file_size=packed.size if packed else None,
        file_sha256=packed.sha256 if packed else None,
        mesh=row.result.mesh if row.result else None,
        warnings=row.result.warnings if row.result else (),
        attempt=row.attempt,
        cached=row.cached,
        cost_usd=None if row.cost_micro is None else to_usd(row.cost_micro),
        cost_uncertain=row.cost_uncertain,
        fal_request_id=row.request_id,
        error=row.error,
        metadata=row.metadata,
        views=documents.view_documents(row),
        variant=row.variant,
        seed=row.seed,
    )


async def download_archive(request: Request) -> Response:
    """200 with the ZIP; 409 `not_ready` where no model is finished."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await lookup.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    packing = entries(job)
    headers = {**_HEADERS, "Content-Disposition": disposition(f"image2model-{job.job_id[:8]}.zip")}
    return ArchiveResponse(pieces(state.storage, job, packing), headers)


class ArchiveResponse(Response):
    """Sends the pieces as the client takes them, and stops reading when it is gone."""

    media_type = "application/zip"

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises StorageError: before the first byte, where it still becomes a problem, or in the middle."""
        with bodies.watching(receive) as gone:
            async with aclosing(self._pieces) as pieces:
                first = await anext(pieces)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                if scope["method"] != "HEAD":
                    await self._body(first, pieces, gone, send)
            await send({"type": "http.response.body", "body": b""})

    async def _body(
        self, first: bytes, pieces: AsyncGenerator[bytes, None], gone: Callable[[], bool], send: Send
    ) -> None:
        await _send(send, first)
        async for piece in pieces:
            if gone():
                return
            await _send(send, piece)


async def _send(send: Send, piece: bytes) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
