"""A parser of `text/event-stream`, fed with chunks as they come.

Who calls it: the event stream. The rules are those of WHATWG HTML, "Interpreting an event stream": a
byte order mark at the start is dropped, lines end with CR, LF or both, several `data` lines are joined
by LF, a line that begins with a colon is a comment, an id with NUL is ignored, and what no empty line
has closed is never delivered.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event; `id` is the last one that the stream has set, also by an earlier event."""

    event: str
    data: str
    id: str


class EventParser:
    """Give it bytes, get events. `retry` is the stream's reconnection time in seconds, if it told one."""

    def __init__(self) -> None:
        self.retry: float | None = None
        self._rest = b""
        self._started = False
        self._after_cr = False
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that `chunk` completes."""
        for line in self._lines(chunk):
            if line:
                self._field(line.decode("utf-8", "replace"))
            elif event := self._dispatch():
                yield event

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        data = self._rest + chunk
        if not self._started:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = data
                return
            data, self._started = data.removeprefix(_BOM), True
        if self._after_cr and data:
            data, self._after_cr = data.removeprefix(b"\n"), False
        *lines, self._rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._after_cr = data.endswith(b"\r")
        yield from lines

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value) / 1000

    def _dispatch(self) -> ServerSentEvent | None:
        name, self._event = self._event or "message", ""
        lines, self._data = self._data, []
        return ServerSentEvent(name, "\n".join(lines), self._id) if lines else None
