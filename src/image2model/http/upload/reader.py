"""`read_batch`: one multipart request from its headers to a `ReceivedBatch`.

Who calls it: the routes that take pictures. It raises a `Problem` for a request that is refused as a
whole; the rest of a refused body is dropped by `RefusalDrain`, after all memory is given back.
"""

from collections.abc import Mapping

from starlette.types import Receive

from image2model.errors import InvalidParameter, NoFiles, TooManyFiles
from image2model.http.answers import declared_length
from image2model.http.upload.budget import Reservation, UploadBudget
from image2model.http.upload.parser import FormParser, PacedBody, PartStart, body_too_large, boundary_of
from image2model.http.upload.part import FieldPart, FilePart, IgnoredPart, Part, display_name
from image2model.http.upload.pipeline import FilePipeline
from image2model.http.upload.received import FIELDS, Inspect, ReceivedBatch, ReceivedFile, Sink, UploadLimits


async def forget(_file: ReceivedFile, _data: bytes) -> None:
    """A sink that keeps nothing: for callers who only want to know what an upload holds."""


async def read_batch(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    limits: UploadLimits,
    budget: UploadBudget,
    inspect: Inspect,
    sink: Sink = forget,
) -> ReceivedBatch:
    """Read a whole upload, handing each good file to `sink` as it completes.

    `headers` are the request's, looked up by lower-case name. Files that are bad one by one do not
    raise: they are in `bad`, because `on_invalid` may come after them; see `ReceivedBatch.refuse_bad`.
    When this raises, no sink is under way any more, and the caller deletes what its sink had stored.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `InvalidMultipart`, `InvalidParameter`, `NoFiles`,
    `TooManyFiles`, `UploadTooSlow`; `starlette.requests.ClientDisconnect` when the sender is gone; and
    whatever `sink` raises.
    """
    boundary = boundary_of(headers.get("content-type", ""), limits.max_boundary_bytes)
    if declared_length(headers, 0) > limits.max_body_bytes:
        raise body_too_large(limits)
    with budget.open() as reservation:
        async with FilePipeline(inspect, sink, reservation, limits.files_in_flight) as pipeline:
            form = FormReader(boundary, limits, reservation, pipeline)
            await form.read(PacedBody(receive, limits, crowded=lambda: budget.waiting > 0))
    return ReceivedBatch(files=pipeline.good, bad=pipeline.bad, fields=form.fields)


class FormReader:
    """Reads one form. `fields` and `files_seen` are complete after `read`."""

    def __init__(
        self, boundary: bytes, limits: UploadLimits, reservation: Reservation, pipeline: FilePipeline
    ) -> None:
        self.fields: dict[str, str] = {}
        self.files_seen = 0
        self._limits = limits
        self._reservation = reservation
        self._pipeline = pipeline
        self._names: set[str] = set()
        self._refusal: InvalidParameter | None = None
        self._part: Part = IgnoredPart()
        self._parser = FormParser(boundary, limits)

    async def read(self, body: PacedBody) -> None:
        """Read to the end of the body. Raises the `Problem` for which the whole batch is refused."""
        while chunk := await body.read():
            await self._parse(chunk)
        self._parser.close()
        if self._refusal is not None:
            raise self._refusal
        if self.files_seen == 0:
            raise NoFiles("The form has no part named `files`. Send at least one picture.")

    async def _parse(self, chunk: bytes) -> None:
        for event in self._parser.events(chunk):
            if isinstance(event, PartStart):
                self._part = self._begin(event)
            elif event is None:
                await self._end(self._part)
            else:
                self._part.feed(event)
        if isinstance(self._part, FilePart):
            await self._settle(self._part)

    def _begin(self, start: PartStart) -> Part:
        name = start.name
        if name == "files":
            return self._begin_file(start)
        if name not in FIELDS:
            return self._refuse(f"There is no parameter {name[:80]!r}. Files go into parts named `files`.")
        if name in self._names:
            return self._refuse(f"The parameter `{name}` came twice. Send it once.")
        self._names.add(name)
        return FieldPart(name, self._limits.max_field_bytes)

    def _begin_file(self, start: PartStart) -> FilePart:
        index = self.files_seen
        self.files_seen += 1
        if self.files_seen > self._limits.max_files:
            raise TooManyFiles(f"More than {self._limits.max_files} files. Send them as several batches.")
        filename = display_name(start.filename, start.disposition, index)
        return FilePart(index, filename, self._limits.max_file_bytes, self._pipeline.inspect)

    async def _end(self, part: Part) -> None:
        self._part = IgnoredPart()
        if isinstance(part, FieldPart):
            self._keep(part)
        elif isinstance(part, FilePart):
            await self._settle(part)
            await self._hand_over(part)

    async def _hand_over(self, part: FilePart) -> None:
        if part.problem is not None:
            self._pipeline.refuse(part, part.problem)
        else:
            await self._pipeline.put(part)

    async def _settle(self, part: FilePart) -> None:
        """Bring the reservation to what the part holds by now."""
        missing = part.kept - part.held
        part.held = part.kept
        if missing > 0:
            await self._reservation.take(missing)
        elif missing < 0:
            self._reservation.release(-missing)

    def _keep(self, field: FieldPart) -> None:
        if field.too_long:
            self._refuse(f"`{field.name}` is longer than {self._limits.max_field_bytes} bytes.")
            return
        try:
            self.fields[field.name] = field.text()
        except UnicodeDecodeError:
            self._refuse(f"`{field.name}` is not UTF-8 text.")

    def _refuse(self, detail: str) -> IgnoredPart:
        self._refusal = self._refusal or InvalidParameter(detail)
        self._pipeline.stop()
        return IgnoredPart()
