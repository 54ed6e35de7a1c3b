"""The events of a job, or of all the caller's jobs, as typed values.

Who calls it: the event stream decodes them, programs match on them.
"""

import msgspec

from image2model.client.documents import Counts, Image, Job
from image2model.client.errors import ClientError
from image2model.client.sse import ServerSentEvent


class Snapshot(msgspec.Struct, frozen=True):
    """The state at the start: one job, or on `/events` the unfinished ones, without images.

    `reset`: history no longer reached back to the last id, so this replaces everything known.
    """

    id: str
    jobs: tuple[Job, ...]
    reset: bool = False


class ImageChanged(msgspec.Struct, frozen=True):
    """One image changed; `counts`, `progress` and `status` are its job's after the change."""

    id: str
    job_id: str
    status: str
    counts: Counts
    progress: float
    image: Image
    waiting_for: str | None = None


class Complete(msgspec.Struct, frozen=True):
    """A job is finished; on `/events` its document has no images."""

    id: str
    job: Job


Event = Snapshot | ImageChanged | Complete


class _Change(msgspec.Struct):
    job_id: str
    status: str
    counts: Counts
    progress: float
    image: Image
    waiting_for: str | None = None


class _Reset(msgspec.Struct):
    reset: bool = False
    jobs: tuple[Job, ...] | None = None


def decode(raw: ServerSentEvent) -> Event | None:
    """The typed event; None for a kind that this client does not know. Raises ClientError."""
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise ClientError(f"the service sent an event that cannot be read: {error}") from error


def _decode(raw: ServerSentEvent) -> Event | None:
    if raw.event == "image":
        change = msgspec.json.decode(raw.data, type=_Change)
        return ImageChanged(id=raw.id, **{name: getattr(change, name) for name in change.__struct_fields__})
    if raw.event == "complete":
        return Complete(id=raw.id, job=msgspec.json.decode(raw.data, type=Job))
    if raw.event != "snapshot":
        return None
    head = msgspec.json.decode(raw.data, type=_Reset)
    jobs = head.jobs if head.jobs is not None else (msgspec.json.decode(raw.data, type=Job),)
    return Snapshot(id=raw.id, jobs=jobs, reset=head.reset)
