"""A job's files: the list of them, and the address of one.

It opens no file. An address that it returns belongs to our own storage or to one of FAL's media hosts, and
never to another host.
"""

import time
from typing import Final
from urllib.parse import quote

import msgspec

from image2model.domain import IMAGE_FINISHED, ImageStatus, JobStatus, Metadata, ResultFile
from image2model.errors import NotFound, NotReady
from image2model.fal.hosts import FalHosts, escaped
from image2model.http import documents
from image2model.jobs.files import sign
from image2model.media.model_probe import media_type
from image2model.storage import layout
from image2model.storage.objects import ObjectStorage
from image2model.store.records import ImageRow, JobSnapshot

LINK_SECONDS: Final = 3600
_ROUNDING_SECONDS: Final = 300
"""Expiries are rounded up to this, so that two requests for a file get one URL, which caches can keep."""


class ImageFiles(msgspec.Struct, frozen=True, kw_only=True):
    """One image's entry in the list of downloads; `files` is empty until it has succeeded."""

    image_id: str
    index: int
    filename: str
    status: ImageStatus
    metadata: Metadata
    files: tuple[documents.FileDocument, ...]


class Downloads(msgspec.Struct, frozen=True, kw_only=True):
    """All files of a job."""

    job_id: str
    status: JobStatus
    expires_at: documents.Moment | None
    metadata: Metadata
    images: tuple[ImageFiles, ...]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in our storage, and the name and type that a download gets."""

    key: str
    filename: str
    media_type: str


def listing(job: JobSnapshot) -> Downloads:
    """Every image with its files."""
    entries = (documents.image_document(job.job_id, row) for row in job.images)
    return Downloads(
        job_id=job.job_id,
        status=job.counts.status,
        expires_at=documents.moment(job.job.expires_at),
        metadata=job.job.metadata,
        images=tuple(
            ImageFiles(
                image_id=entry.image_id,
                index=entry.index,
                filename=entry.filename,
                status=entry.status,
                metadata=entry.metadata,
                files=entry.result.files if entry.result else (),
            )
            for entry in entries
        ),
    )


def locate(job: JobSnapshot, image_id: str, kind: str, hosts: FalHosts) -> StoredFile | str:
    """The file of this kind: in our storage, or its URL at FAL. Raises NotFound, NotReady."""
    row = next((row for row in job.images if row.image_id == image_id), None)
    if row is None:
        raise NotFound("This job has no such image.")
    if (original := _original(job.job_id, row, kind)) is not None:
        return original
    if (prepared := _prepared(row, kind)) is not None:
        return prepared
    if row.result is None:
        raise _not_ready(row)
    file = next((file for file in row.result.files if file.kind == kind), None)
    if file is None:
        others = [*_originals(row), *documents.prepared_kinds(row)]
        kinds = ", ".join([*(file.kind for file in row.result.files), *others])
        raise NotFound(f"This image has no file {kind[:32]!r}; it has: {kinds}.")
    return _result_file(row, file, hosts)


async def link(storage: ObjectStorage, secret: bytes, file: StoredFile) -> str:
    """A URL that needs no credentials and expires: the storage's own where it can sign, else ours."""
    presigned = await storage.presign(file.key, LINK_SECONDS)
    if presigned is not None:
        return presigned
    latest = time.time() + LINK_SECONDS
    expires_at = int(-(-latest // _ROUNDING_SECONDS) * _ROUNDING_SECONDS)
    token = sign(secret, file.key, file.filename, file.media_type, expires_at)
    return f"{documents.API}/files/{quote(token, safe='')}"


def _originals(row: ImageRow) -> list[str]:
    """The kinds of the uploaded pictures: `original`, then `original-2` and so on for further views."""
    return ["original", *(f"original-{number}" for number in range(2, len(row.views) + 1))]


def _original(job_id: str, row: ImageRow, kind: str) -> StoredFile | None:
    """Raises NotReady while the picture is not fetched."""
    kinds = _originals(row)
    if kind not in kinds:
        return None
    file_id, filename, ext = row.image_id, row.filename, row.format
    if row.views:
        view = row.views[kinds.index(kind)]
        file_id, filename, ext = view.file_id, view.filename, view.format
    if ext is None:
        raise NotReady("This picture came as an address, and has not been fetched.")
    key = layout.original(job_id, file_id, ext)
    return StoredFile(key=key, filename=filename, media_type=media_type(ext))


def _prepared(row: ImageRow, kind: str) -> StoredFile | None:
    """A picture as it is sent to the model."""
    kinds = documents.prepared_kinds(row)
    if row.preparation is None or kind not in kinds:
        return None
    file = row.preparation.files[kinds.index(kind)]
    name = f"{row.stem or 'picture'}-{kind}.{file.format}"
    return StoredFile(key=file.key, filename=name, media_type=media_type(file.format))


def _not_ready(row: ImageRow) -> NotReady:
    if row.status in IMAGE_FINISHED:
        reason = f": {row.error.message}" if row.error else ""
        return NotReady(f"This image is {row.status}{reason}. It has no model; use `?file=original`.")
    return NotReady(f"This image is {row.status}. Its model exists once it has succeeded.")


def _result_file(row: ImageRow, file: ResultFile, hosts: FalHosts) -> StoredFile | str:
    if file.key is not None:
        name = result_name(row.stem, file)
        return StoredFile(key=file.key, filename=name, media_type=media_type(file.format, file.content_type))
    url = escaped(file.source_url or "")
    if not hosts.serves_media(url):
        raise NotFound("FAL named no address for this file that a download may redirect to.")
    return url


def result_name(stem: str, file: ResultFile) -> str:
    """The name of a downloaded file of a result: `chair.glb`, `chair-preview.webp`."""
    suffix = "" if file.kind == "model" else f"-{file.kind}"
    return f"{stem or 'model'}{suffix}.{file.format}"
