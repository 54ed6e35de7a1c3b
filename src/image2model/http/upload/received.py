"""The numbers an upload is held to. Who calls it: the reader and its tests. It only holds them."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from image2model.errors import FileFault, FileProblem

MIB = 1 << 20

FIELDS = frozenset({"model", "face_limit", "params", "webhook_url", "priority", "no_cache", "on_invalid"})
"""The part names besides `files`; each may come once."""


class UploadLimits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds, rates in bytes a second."""

    max_files: int = 25
    max_file_bytes: int = 10 * MIB
    max_field_bytes: int = 64 << 10
    max_parts: int = 64
    max_header_bytes: int = 4 << 10
    max_headers: int = 8
    max_boundary_bytes: int = 200
    files_in_flight: int = 2
    """Complete files of one upload that may wait for their hash and their sink at once."""
    min_rate: int = 16 << 10
    rate_window: float = 10.0
    """A sender below `min_rate` over this long is cut off; time that we make it wait does not count."""

    crowded_grace: float = 30.0
    crowded_rate: int = 64 << 10
    """While others wait for memory, a body gets this grace and then the time that it takes at this rate: who
    trickles just over `min_rate` would keep them waiting."""
    max_seconds: float = 3600.0
    """The most that a body may take in any case, our own waits not counted."""

    @property
    def max_body_bytes(self) -> int:
        """The body limit: all files at their limit and 1 MiB for everything else."""
        return self.max_files * self.max_file_bytes + MIB


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
