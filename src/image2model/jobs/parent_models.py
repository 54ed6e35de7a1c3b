"""The image that a second step starts from, and which of its files is sent."""

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from image2model.access import lookup
from image2model.domain import ImageStatus, ResultFile
from image2model.errors import FileTooLarge, InvalidParameter, NotFound, NotReady
from image2model.fal.endpoints import Endpoint, SecondStep
from image2model.fal.endpoints.second_step import FORMATS
from image2model.fal.files import model_rank
from image2model.store.records import ImageRow

MOST_BYTES: Final = 256 << 20
"""The largest model that is sent on: a worker holds all of it."""


async def parent_of(redis: Redis, owner: str, job_id: str, image_id: str) -> ImageRow:
    """The image, with a result. Raises NotFound, Expired, NotReady, StoreOutage."""
    job = await lookup.snapshot(redis, owner, job_id)
    row = next((row for row in job.images if row.image_id == image_id), None)
    if row is None:
        raise NotFound("This job has no such image.")
    if row.status is not ImageStatus.SUCCEEDED or row.result is None:
        raise NotReady(f"This image is {row.status}. A second step starts from the model of a succeeded one.")
    return row


def choose_model(row: ImageRow, endpoint: Endpoint, step: SecondStep, kind: str | None) -> ResultFile:
    """The file that is sent: of this `kind`, else the result's model if the endpoint takes its format, else
    the best of its other files. Raises InvalidParameter, FileTooLarge.
    """
    files = row.result.files if row.result else ()
    file = _best(files, endpoint, step) if kind is None else _of_kind(files, endpoint, step, kind)
    if file.size is not None and file.size > MOST_BYTES:
        raise FileTooLarge(
            f"The file {file.kind!r} has {file.size} bytes; a second step takes a model of at most "
            f"{MOST_BYTES >> 20} MiB."
        )
    return file


def _of_kind(files: Sequence[ResultFile], endpoint: Endpoint, step: SecondStep, kind: str) -> ResultFile:
    file = next((file for file in files if file.kind == kind), None)
    if file is None:
        raise InvalidParameter(f"This image has no file {kind[:32]!r}; it has: {_listed(files)}.")
    if model_rank(file.format) is None:
        raise InvalidParameter(f"The file {kind!r} is no 3D model but {file.format}.")
    if step.strict and file.format not in step.formats:
        raise InvalidParameter(
            f"{endpoint.id} takes {' or '.join(step.formats)} here, and the file {kind!r} is {file.format}."
        )
    return file


def _best(files: Sequence[ResultFile], endpoint: Endpoint, step: SecondStep) -> ResultFile:
    formats = step.formats or FORMATS
    fitting = [file for file in files if file.format in formats]
    if not fitting:
        takes = " or ".join(step.formats) if step.formats else "a mesh"
        raise InvalidParameter(
            f"{endpoint.id} takes {takes}, and this image has: {_listed(files)}. Name one of them as `file` "
            "to send it nevertheless."
        )
    return min(fitting, key=lambda file: (file is not files[0], model_rank(file.format) or 0))


def _listed(files: Sequence[ResultFile]) -> str:
    return ", ".join(f"{file.kind} ({file.format})" for file in files)
