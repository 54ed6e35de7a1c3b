"""What an upload turned out to hold, and the shapes of what the reader calls.

Who calls it: the reader makes these, the service reads them. They never hold a file's bytes.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from image2model.errors import FileFault, FileProblem


class Picture(Protocol):
    """What an inspection finds out: the format by content, and the size in pixels."""

    @property
    def format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


Inspect = Callable[[bytes], Picture]
"""Checks a whole file's structure, in a thread; raises a `FileProblem` where it is not a good picture.

It is also asked, on the event loop, about the beginning of a file that carries no picture's signature."""


class ReceivedFile(msgspec.Struct, frozen=True):
    """One good file: its place among the `files` parts, its display name, and what it is."""

    index: int
    filename: str
    size: int
    sha256: str
    format: str
    width: int
    height: int


Sink = Callable[[ReceivedFile, bytes], Awaitable[None]]
"""Takes a good file's bytes, and must not keep them after it returns: their memory is counted free then."""


class BadFile(msgspec.Struct, frozen=True):
    """One file that cannot be used. `problem` is the answer if the batch is refused for it."""

    index: int
    filename: str
    problem: FileProblem

    @property
    def fault(self) -> FileFault:
        """Its entry in a problem's `errors`, or in a job's `rejected`."""
        return self.problem.fault(self.filename)


class ReceivedBatch(msgspec.Struct, frozen=True):
    """A whole batch, read to its end. Both tuples are in the order of the body."""

    files: tuple[ReceivedFile, ...]
    bad: tuple[BadFile, ...]
    fields: dict[str, str]

    def refuse_bad(self) -> None:
        """Raise the first bad file's problem, naming every bad file; nothing where all are good."""
        if not self.bad:
            return
        first = self.bad[0].problem
        raise type(first)(first.detail, errors=[each.fault for each in self.bad])
