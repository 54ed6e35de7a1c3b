"""What an upload held: its files and fields."""

from collections.abc import Awaitable, Callable

import msgspec

from image2model.domain import PictureAddress
from image2model.errors import FileFault, FileProblem
from image2model.http.upload.form import FILE, Place


class ReceivedFile(msgspec.Struct, frozen=True):
    """One good file: its index among all files of the form, its display name, what and where it is."""

    index: int
    filename: str
    size: int
    sha256: str
    format: str
    width: int
    height: int
    place: Place = FILE
    frames: int = 1
    """Pictures in the file, of which one is used."""


class AddressedFile(msgspec.Struct, frozen=True):
    """One picture that came as an address: nothing but its name is known until a worker has fetched it."""

    index: int
    filename: str
    address: PictureAddress
    place: Place = FILE

    @property
    def size(self) -> None:
        """Not known yet, as all of these."""

    sha256 = format = width = height = frames = size


class BadFile(msgspec.Struct, frozen=True):
    """One file that cannot be used. `problem` is the response if the batch is refused for it."""

    index: int
    filename: str
    problem: FileProblem
    place: Place = FILE

    @property
    def fault(self) -> FileFault:
        """Its entry in a problem's `errors`, or in a job's `rejected`. Of a view: `chair/front.png`."""
        return self.problem.fault(
            f"{self.place.object}/{self.filename}" if self.place.object else self.filename
        )


class ReceivedBatch(msgspec.Struct, frozen=True):
    """A whole batch, read to its end. All tuples are in the order of the body.

    `models`: every value of the field `model`, of which `fields` has the first. `addressed`: pictures that
    came as addresses; their indices are among those of the files.
    """

    files: tuple[ReceivedFile, ...]
    bad: tuple[BadFile, ...]
    fields: dict[str, str]
    models: tuple[str, ...] = ()
    addressed: tuple[AddressedFile, ...] = ()

    @property
    def count(self) -> int:
        """How many pictures it holds, good or bad."""
        return len(self.files) + len(self.bad) + len(self.addressed)

    def refuse_bad(self) -> None:
        """Raise the first bad file's problem, naming every bad file; nothing where all are good."""
        if not self.bad:
            return
        first = self.bad[0].problem
        raise type(first)(first.detail, errors=[each.fault for each in self.bad])


Sink = Callable[[ReceivedFile, bytes], Awaitable[None]]
"""Takes a good file's bytes. It must not keep them after it returns: from then on they count as free."""


async def discard(_file: ReceivedFile, _data: bytes) -> None:
    """A sink that keeps nothing: for callers that only need to know what an upload holds."""
