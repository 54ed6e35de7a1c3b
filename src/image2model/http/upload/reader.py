"""`read_batch`: one multipart request from its headers to a `ReceivedBatch`.

It raises a `Problem` for a request that is refused as a whole. By then all memory is given back, and
`RefusalDrain` drops the rest of the body. Complete files go through a `FilePipeline` to the caller's sink
while the next ones still arrive. Only a few are in it at once, so a slow sink does not cost memory.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from starlette.types import Receive

from image2model.errors import FileFault, FileProblem, InvalidParameter, NoFiles, TooManyFiles
from image2model.http.upload.form import (
    FILE,
    FieldPart,
    FilePart,
    FormParser,
    IgnoredPart,
    Inspect,
    Part,
    PartStart,
    Place,
    boundary_of,
    display_name,
)
from image2model.http.upload.limits import (
    PacedBody,
    Reservation,
    UploadBudget,
    UploadLimits,
    check_declared_length,
)
from image2model.http.upload.part_names import place_of
from image2model.shielded import in_thread

MANIFEST: Final = "manifest"
"""A field that may be larger, since it says something about each file."""
MODEL: Final = "model"
"""The field that may come several times, once for each model that is to be compared."""
MAX_MODELS: Final = 8
VARIANTS: Final = "variants"
FIELDS: Final = frozenset(
    {
        MODEL,
        VARIANTS,
        "face_limit",
        "params",
        "params_strict",
        "max_cost_usd",
        "webhook_url",
        "priority",
        "no_cache",
        "remove_background",
        "crop",
        "pad_square",
        "confirm_prepared",
        "on_invalid",
        "metadata",
        MANIFEST,
    }
)
"""The part names besides `files`; each may come once, except `model`."""


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

    `models`: every value of the field `model`, of which `fields` has the first.
    """

    files: tuple[ReceivedFile, ...]
    bad: tuple[BadFile, ...]
    fields: dict[str, str]
    models: tuple[str, ...] = ()

    def refuse_bad(self) -> None:
        """Raise the first bad file's problem, naming every bad file; nothing where all are good."""
        if not self.bad:
            return
        first = self.bad[0].problem
        raise type(first)(first.detail, errors=[each.fault for each in self.bad])


def too_many_objects(most: int) -> TooManyFiles:
    """The refusal of an upload of more objects than this."""
    return TooManyFiles(
        f"More than {most} objects. Send them as several batches. If a `manifest` makes fewer objects of the "
        "files, send it before them."
    )


Sink = Callable[[ReceivedFile, bytes], Awaitable[None]]
"""Takes a good file's bytes. It must not keep them after it returns: from then on they count as free."""


async def discard(_file: ReceivedFile, _data: bytes) -> None:
    """A sink that keeps nothing: for callers that only need to know what an upload holds."""


async def read_batch(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    limits: UploadLimits,
    budget: UploadBudget,
    inspect: Inspect,
    sink: Sink = discard,
    reader: "type[FormReader] | None" = None,
) -> ReceivedBatch:
    """Read a whole upload, passing each good file to `sink` as it completes.

    `headers` are the request's, looked up by lower-case name. Files that are bad one by one do not
    raise: they are in `bad`, because `on_invalid` may come after them; see `ReceivedBatch.refuse_bad`.
    `reader`: that of a form of another kind.
    When this raises, no sink runs any more, and the caller deletes what its sink had stored.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `InvalidMultipart`, `InvalidParameter`, `NoFiles`,
    `TooManyFiles`, `UploadTooSlow`; `starlette.requests.ClientDisconnect` when the sender is gone; and
    whatever `sink` raises.
    """
    parser = FormParser(boundary_of(headers.get("content-type", ""), limits.max_boundary_bytes), limits)
    check_declared_length(headers, limits)
    with budget.open() as reservation:
        async with FilePipeline(inspect, sink, reservation, limits.files_in_flight) as pipeline:
            form = (reader or FormReader)(parser, limits, reservation, pipeline)
            await form.read(PacedBody(receive, limits, crowded=lambda: budget.waiting > 0))
    return ReceivedBatch(files=pipeline.good, bad=pipeline.bad, fields=form.fields, models=tuple(form.models))


class FormReader:
    """Reads one form. `fields`, `models` and `files_seen` are complete after `read`."""

    def __init__(
        self, parser: FormParser, limits: UploadLimits, reservation: Reservation, pipeline: "FilePipeline"
    ) -> None:
        self.fields: dict[str, str] = {}
        self.models: list[str] = []
        self.files_seen = 0
        self._parser = parser
        self._limits = limits
        self._reservation = reservation
        self._pipeline = pipeline
        self._names: Counter[str] = Counter()
        self._objects: set[str] = set()
        self._loose = 0
        self._refusal: InvalidParameter | None = None
        self._part: Part = IgnoredPart()

    async def read(self, body: PacedBody) -> None:
        """Read to the end of the body. Raises the `Problem` for which the whole batch is refused."""
        while chunk := await body.read():
            await self._parse(chunk)
        self._parser.close()
        if self._refusal is not None:
            raise self._refusal
        self._check_files()

    def _check_files(self) -> None:
        if self.files_seen == 0:
            raise NoFiles("The form has no file. Send at least one picture, in a part named `files`.")

    async def _parse(self, chunk: bytes) -> None:
        for event in self._parser.events(chunk):
            if isinstance(event, PartStart):
                self._part = self._begin(event)
            elif event is None:
                await self._end(self._part)
            else:
                self._part.feed(event)
        if isinstance(self._part, FilePart):
            await self._count_memory(self._part)

    def _begin(self, start: PartStart) -> Part:
        name = start.name
        if name == "files":
            return self._begin_file(start, FILE)
        try:
            place = place_of(name)
        except InvalidParameter as wrong:
            return self._refuse(wrong.detail)
        if place is not None:
            return self._begin_file(start, place)
        if name not in FIELDS:
            return self._refuse(
                f"There is no parameter {name[:80]!r}. Files go into parts named `files`, the views of one "
                "object into parts such as `objects[chair][front]`."
            )
        return self._begin_field(name)

    def _begin_field(self, name: str) -> Part:
        self._names[name] += 1
        if self._names[name] > (MAX_MODELS if name == MODEL else 1):
            return self._refuse(_too_often(name))
        limits = self._limits
        return FieldPart(name, limits.max_manifest_bytes if name == MANIFEST else limits.max_field_bytes)

    def _begin_file(self, start: PartStart, place: Place) -> FilePart:
        index = self.files_seen
        self.files_seen += 1
        self._count_object(place)
        filename = display_name(start.filename, start.disposition, index)
        return FilePart(index, filename, self._limits.max_file_bytes, self._pipeline.inspect, place)

    def _count_object(self, place: Place) -> None:
        """Raises TooManyFiles. A manifest that came before may group the files into fewer objects."""
        limits = self._limits
        if self.files_seen > limits.max_pictures:
            raise TooManyFiles(f"More than {limits.max_pictures} pictures. Send them as several batches.")
        self._loose += not place.object
        self._objects.add(place.object)
        objects = len(self._objects - {""}) + (0 if MANIFEST in self.fields else self._loose)
        if objects > limits.max_objects:
            raise too_many_objects(limits.max_objects)

    async def _end(self, part: Part) -> None:
        self._part = IgnoredPart()
        if isinstance(part, FieldPart):
            self._keep(part)
        elif isinstance(part, FilePart):
            await self._count_memory(part)
            if part.problem is None:
                await self._pipeline.put(part)
            else:
                self._pipeline.refuse(part, part.problem)

    async def _count_memory(self, part: FilePart) -> None:
        """Adjust the reservation to the bytes that the part holds by now."""
        missing = part.kept - part.held
        part.held = part.kept
        if missing > 0:
            await self._reservation.take(missing)
        elif missing < 0:
            self._reservation.release(-missing)

    def _keep(self, field: FieldPart) -> None:
        if field.too_long:
            self._refuse(f"`{field.name}` is longer than {field.max_bytes} bytes.")
            return
        try:
            text = field.text()
        except UnicodeDecodeError:
            self._refuse(f"`{field.name}` is not UTF-8 text.")
            return
        self.fields.setdefault(field.name, text)
        if field.name == MODEL:
            self.models.append(text)

    def _refuse(self, detail: str) -> IgnoredPart:
        self._refusal = self._refusal or InvalidParameter(detail)
        self._pipeline.stop()
        return IgnoredPart()


def _too_often(name: str) -> str:
    if name == MODEL:
        return f"More than {MAX_MODELS} fields `{MODEL}`. Compare at most {MAX_MODELS} models at once."
    return f"The parameter `{name}` came twice. Send it once."


class FilePipeline:
    """The complete files of one upload: hash, inspection, sink, in any order.

    A context manager that ends when no file is in work. It always waits for a sink that has begun, also when
    the upload fails: a caller that deletes what its sink stored can rely on nothing appearing later.
    """

    def __init__(self, inspect: Inspect, sink: Sink, reservation: Reservation, in_flight: int) -> None:
        self.inspect = inspect
        self._sink = sink
        self._reservation = reservation
        self._slots = asyncio.Semaphore(in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stopped = False
        self._good: list[ReceivedFile] = []
        self._bad: list[BadFile] = []

    @property
    def good(self) -> tuple[ReceivedFile, ...]:
        """The good files in the order of the body."""
        return tuple(sorted(self._good, key=lambda file: file.index))

    @property
    def bad(self) -> tuple[BadFile, ...]:
        """The bad files in the order of the body."""
        return tuple(sorted(self._bad, key=lambda file: file.index))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if error is None:
            self._raise_failure()

    def stop(self) -> None:
        """Begin no further sink: the upload is refused whatever follows."""
        self._stopped = True

    def refuse(self, part: FilePart, problem: FileProblem) -> None:
        """Note a file that is known to be bad."""
        self._bad.append(BadFile(part.index, part.filename, problem, part.place))

    async def put(self, part: FilePart) -> None:
        """Accept a complete file as soon as a slot is free. Raises what an earlier file's sink raised."""
        await self._slots.acquire()
        self._raise_failure()
        self._start(self._finish(part))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self.stop()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _finish(self, part: FilePart) -> None:
        try:
            file, data = await in_thread(_examine, part, self.inspect)
            if not self._stopped:
                await self._sink(file, data)
                self._good.append(file)
        except FileProblem as problem:
            self.refuse(part, problem)
        finally:
            self._reservation.release(part.held)


def _examine(part: FilePart, inspect: Inspect) -> tuple[ReceivedFile, bytes]:
    """Join, inspect and hash a complete file. Blocks, so it runs in a thread. Raises `FileProblem`."""
    data = part.take()
    picture = inspect(data)
    file = ReceivedFile(
        index=part.index,
        filename=part.filename,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        format=picture.format,
        width=picture.width,
        height=picture.height,
        place=part.place,
    )
    return file, data
