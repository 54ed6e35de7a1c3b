"""What one client has still to be sent while it is live: bounded, merged within a status, in order.

Who calls it: the subscriber. Only live frames come here; history is read again from the store instead.
"""

from typing import Final

from image2model.api.events.frame import Frame

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
