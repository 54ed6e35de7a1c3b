"""Frames: events as the bytes of an event stream, encoded once for all subscribers; and their backlog.

A frame's id is its position in its stream: the job's version, or the owner's sequence number. Pure.
"""

from typing import Final

import msgspec

from image2model.events.documents import completed_document, completed_head, image_event
from image2model.events.history import Event, ImageChanged
from image2model.http.documents import JobHead, job_document
from image2model.store.records import JobSnapshot

RETRY: Final = b"retry: 2000\n\n"
"""Tells clients how long to wait before they reconnect, in ms."""
COMMENT: Final = b": ping\n\n"
_encode: Final = msgspec.json.Encoder().encode
MAX_FRAMES: Final = 256
"""Frames in a backlog. A client that is further behind reads the rest from history."""
_WRITE_BYTES: Final = 64 * 1024


class Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event's bytes. `image_id` and `status` are empty unless the event is about one image.

    `at` is the event's time (ms since the epoch); `last` marks `complete` in the job's own stream.
    """

    position: int
    data: bytes
    at: int = 0
    job_id: str = ""
    image_id: str = ""
    status: str = ""
    last: bool = False


def job_frame(event: Event) -> Frame:
    """An event as a frame of its job's stream."""
    if isinstance(event.body, ImageChanged):
        return _image(event.version, event.job_id, event.body)
    data = _encode(completed_document(event.job_id, event.body))
    return _complete(event.version, event.job_id, data, event.body.at, last=True)


def owner_frame(seq: int, event: Event) -> Frame:
    """An event as a frame of its owner's stream."""
    if isinstance(event.body, ImageChanged):
        return _image(seq, event.job_id, event.body)
    data = _encode(completed_head(event.job_id, event.body))
    return _complete(seq, event.job_id, data, event.body.at, last=False)


def job_opening(snapshot: JobSnapshot, *, reset: bool) -> tuple[Frame, ...]:
    """The beginning of a job's stream: a snapshot, then `complete` if the job has finished.

    The snapshot of a finished job has the preceding id: a client that is disconnected between the two frames
    has not seen `complete`, and its next connection must deliver it.
    """
    data = _encode(job_document(snapshot))
    finished_at = snapshot.job.finished_at
    position = snapshot.version if finished_at is None else snapshot.version - 1
    first = Frame(position=position, data=_event(position, b"snapshot", _with_reset(data, reset=reset)))
    if finished_at is None:
        return (first,)
    return first, _complete(snapshot.version, snapshot.job_id, data, finished_at, last=True)


def owner_opening(seq: int, jobs: list[JobHead], *, reset: bool) -> Frame:
    """The beginning of an owner's stream: the unfinished jobs, possibly none."""
    data = _with_reset(_encode({"jobs": jobs}), reset=reset)
    return Frame(position=seq, data=_event(seq, b"snapshot", data))


class Backlog:
    """Frames by rising position; a later change of an image within one status replaces the earlier one."""

    __slots__ = ("_frames", "_newest")

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._newest: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, frame: Frame, *, merge: bool) -> bool:
        """Append a frame; False if the backlog is full. `merge`: the client is slow, so merge frames."""
        if frame.image_id:
            self._note(frame, merge=merge)
        if len(self._frames) >= MAX_FRAMES:
            return False
        self._frames[frame.position] = frame
        return True

    def _note(self, frame: Frame, *, merge: bool) -> None:
        earlier = self._frames.get(self._newest.get(frame.image_id, -1))
        if merge and earlier is not None and earlier.status == frame.status:
            del self._frames[earlier.position]
        self._newest[frame.image_id] = frame.position

    def take(self) -> list[Frame]:
        """Remove and return the oldest frames, as many as fit into one write, at least one."""
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
            if self._newest.get(frame.image_id) == frame.position:
                del self._newest[frame.image_id]

    def clear(self) -> None:
        """Remove all frames."""
        self._frames.clear()
        self._newest.clear()


def _image(position: int, job_id: str, body: ImageChanged) -> Frame:
    return Frame(
        position=position,
        data=_event(position, b"image", _encode(image_event(job_id, body))),
        at=body.at,
        job_id=job_id,
        image_id=body.image.image_id,
        status=body.image.status.value,
    )


def _complete(position: int, job_id: str, data: bytes, at: int, *, last: bool) -> Frame:
    return Frame(position=position, data=_event(position, b"complete", data), at=at, job_id=job_id, last=last)


def _event(position: int, kind: bytes, data: bytes) -> bytes:
    """The id comes last: fetch-event-source resumes from an id as soon as its line is read, and would lose an
    event whose data a broken connection cuts off behind it.
    """
    return b"event: %b\ndata: %b\nid: %d\n\n" % (kind, data, position)


def _with_reset(document: bytes, *, reset: bool) -> bytes:
    """The document, never an empty object, with `"reset": true` where history did not reach back."""
    return document[:-1] + b',"reset":true}' if reset else document
