"""Frames: what happened, as the bytes of an event stream, made once for all who read them.

Who calls it: the topics. Pure. A frame's id is its place in the stream that it belongs to: a job's
version, or an owner's sequence number.
"""

from typing import Final

import msgspec

from image2model.events import documents as events_documents
from image2model.events.history import Event, ImageChanged
from image2model.http import documents
from image2model.store.records import JobSnapshot

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
    data = _encode(events_documents.completed_document(event.job_id, event.body))
    return _complete(event.version, event.job_id, data, event.body.at, last=True)


def of_owner(seq: int, event: Event) -> Frame:
    """The same event in its owner's stream."""
    if isinstance(event.body, ImageChanged):
        return _image(seq, event.job_id, event.body)
    data = _encode(events_documents.completed_head(event.job_id, event.body))
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
        data=_text(position, b"image", _encode(events_documents.image_event(job_id, body))),
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


LIMIT: Final = 256
"""Frames. A client further behind than this reads the rest from history."""
_WRITE_BYTES: Final = 64 * 1024


class Backlog:
    """Frames by rising position; a later state of an image within one status replaces the earlier."""

    __slots__ = ("_frames", "_newest")

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._newest: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, frame: Frame, *, merge: bool) -> bool:
        """Append a frame; False where there is no room. `merge`: the client is slow just now."""
        if frame.image_id:
            self._note(frame, merge=merge)
        if len(self._frames) >= LIMIT:
            return False
        self._frames[frame.position] = frame
        return True

    def _note(self, frame: Frame, *, merge: bool) -> None:
        earlier = self._frames.get(self._newest.get(frame.image_id, -1))
        if merge and earlier is not None and earlier.status == frame.status:
            del self._frames[earlier.position]
        self._newest[frame.image_id] = frame.position

    def take(self) -> list[Frame]:
        """The oldest frames, as many as go into one write; at least one where there is any."""
        taken: list[Frame] = []
        size = 0
        for frame in self._frames.values():
            size += len(frame.data)
            if taken and size > _WRITE_BYTES:
                break
            taken.append(frame)
        self._drop(taken)
        return taken

    def _drop(self, taken: list[Frame]) -> None:
        if len(taken) == len(self._frames):
            self.clear()
            return
        for frame in taken:
            del self._frames[frame.position]

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self._newest.clear()
