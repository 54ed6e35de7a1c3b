"""Frames: what happened, as the bytes of an event stream, made once for all who read them.

Who calls it: the topics. Pure. A frame's id is its place in the stream that it belongs to: a job's
version, or an owner's sequence number.
"""

from typing import Final

import msgspec

from image2model.service import documents, event_documents
from image2model.store.events import Event, ImageChanged
from image2model.store.rows import JobSnapshot

RETRY: Final = b"retry: 2000\n\n"
"""How long a client waits before it comes back, in ms."""
COMMENT: Final = b": ping\n\n"

_encode: Final = msgspec.json.Encoder().encode


class Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event's bytes. `image_id` and `status` are empty where it is not one image's.

    `at` is when it happened (ms since the epoch); `last` marks a job's `complete` in the job's own stream.
    """

    position: int
    data: bytes
    at: int = 0
    job_id: str = ""
    image_id: str = ""
    status: str = ""
    last: bool = False


def of_job(event: Event) -> Frame:
    """An event in its job's stream."""
    if isinstance(event.body, ImageChanged):
        return _image(event.version, event.job_id, event.body)
    data = _encode(event_documents.completed_document(event.job_id, event.body))
    return _complete(event.version, event.job_id, data, event.body.at, last=True)


def of_owner(seq: int, event: Event) -> Frame:
    """The same event in its owner's stream."""
    if isinstance(event.body, ImageChanged):
        return _image(seq, event.job_id, event.body)
    data = _encode(event_documents.completed_head(event.job_id, event.body))
    return _complete(seq, event.job_id, data, event.body.at, last=False)


def job_opening(snapshot: JobSnapshot, *, reset: bool) -> tuple[Frame, ...]:
    """What a job's stream begins with: its snapshot, and `complete` where the job has ended.

    The snapshot of an ended job has the id before: a client that is cut off between the two has not seen
    `complete`, and its next connection must bring it.
    """
    data = _encode(documents.job_document(snapshot))
    ended = snapshot.job.finished_at
    at = snapshot.version if ended is None else snapshot.version - 1
    first = Frame(position=at, data=_text(at, b"snapshot", _marked(data, reset=reset)))
    if ended is None:
        return (first,)
    return first, _complete(snapshot.version, snapshot.job_id, data, ended, last=True)


def owner_opening(seq: int, heads: list[documents.JobHead], *, reset: bool) -> Frame:
    """What an owner's stream begins with: the unfinished jobs, possibly none."""
    data = _marked(_encode({"jobs": heads}), reset=reset)
    return Frame(position=seq, data=_text(seq, b"snapshot", data))


def _image(position: int, job_id: str, body: ImageChanged) -> Frame:
    return Frame(
        position=position,
        data=_text(position, b"image", _encode(event_documents.image_event(job_id, body))),
        at=body.at,
        job_id=job_id,
        image_id=body.image.image_id,
        status=body.image.status.value,
    )


def _complete(position: int, job_id: str, data: bytes, at: int, *, last: bool) -> Frame:
    return Frame(position=position, data=_text(position, b"complete", data), at=at, job_id=job_id, last=last)


def _text(position: int, kind: bytes, data: bytes) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (position, kind, data)


def _marked(document: bytes, *, reset: bool) -> bytes:
    """The document, which is never an empty object, with the mark that history did not reach back."""
    return document[:-1] + b',"reset":true}' if reset else document
