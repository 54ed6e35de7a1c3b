"""`read_batch`: one multipart request from its headers to a `ReceivedBatch`.

It raises a `Problem` for a request that is refused as a whole. By then all memory is given back, and
`RefusalDrain` drops the rest of the body. Complete files go through a `FilePipeline` to the caller's sink
while the next ones still arrive. Only a few are in it at once, so a slow sink does not cost memory.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from image2model.errors import InvalidParameter, NoFiles, TooManyFiles
from image2model.http.upload import charset
from image2model.http.upload.content_type import boundary_of
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
)
from image2model.http.upload.limits import (
    PacedBody,
    Reservation,
    UploadBudget,
    UploadLimits,
    check_declared_length,
)
from image2model.http.upload.names import display_name
from image2model.http.upload.part_names import field_of, is_file, place_of
from image2model.http.upload.pipeline import FilePipeline
from image2model.http.upload.received import ReceivedBatch, Sink, discard

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
_OBJECTS_OF_JSON: Final = ("metadata", "params", MANIFEST)


def too_many_objects(most: int) -> TooManyFiles:
    """The refusal of an upload of more objects than this."""
    return TooManyFiles(
        f"More than {most} objects. Send them as several batches. If a `manifest` makes fewer objects of the "
        "files, send it before them."
    )


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
    parser = FormParser(boundary_of(headers, limits.max_boundary_bytes), limits)
    check_declared_length(headers, limits)
    with budget.open() as reservation:
        async with FilePipeline(inspect, sink, reservation, limits.files_in_flight) as pipeline:
            form = (reader or FormReader)(parser, limits, reservation, pipeline)
            await form.read(PacedBody(receive, limits, crowded=lambda: budget.waiting > 0))
    return ReceivedBatch(files=pipeline.good, bad=pipeline.bad, fields=form.fields, models=tuple(form.models))


class _Unnamed(IgnoredPart):
    """A part for a file, without a file's name. An empty one is an input that nobody used.

    A text that begins an object of JSON is what FilePond says of the file that follows; no picture begins so.
    """

    def __init__(self, start: PartStart) -> None:
        self.start = start


class FormReader:
    """Reads one form. `fields`, `models` and `files_seen` are complete after `read`."""

    def __init__(
        self, parser: FormParser, limits: UploadLimits, reservation: Reservation, pipeline: FilePipeline
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
                self._part = self._start(event)
            elif event is None:
                await self._end(self._part)
            else:
                if isinstance(self._part, _Unnamed):
                    self._part = self._first(self._part.start, event)
                self._part.feed(event)
        if isinstance(self._part, FilePart):
            await self._count_memory(self._part)

    def _start(self, start: PartStart) -> Part:
        if start.name == charset.FIELD:
            return FieldPart(start.name, self._limits.max_field_bytes)
        if start.filename == "" or (start.filename is None and self._takes_file(start.name)):
            return _Unnamed(start)
        return self._begin(start)

    def _takes_file(self, name: str) -> bool:
        """Whether a part of this name is a file even without a file's name."""
        return is_file(name) or name.startswith("objects[")

    def _first(self, start: PartStart, payload: bytes) -> Part:
        """The part, once it has a payload."""
        if start.filename is None and payload.lstrip().startswith(b"{"):
            return IgnoredPart()
        return self._begin(start)

    def _begin(self, start: PartStart) -> Part:
        name = field_of(start.name)
        if is_file(start.name):
            return self._begin_file(start, FILE)
        try:
            place = place_of(start.name)
        except InvalidParameter as wrong:
            return self._refuse(wrong.detail)
        if place is not None:
            return self._begin_file(start, place)
        if name not in FIELDS:
            return self._refuse(_unknown(name))
        return self._begin_field(name, start.codec)

    def _begin_field(self, name: str, codec: str) -> Part:
        self._names[name] += 1
        if self._names[name] > (MAX_MODELS if name == MODEL else 1):
            return self._refuse(_too_often(name))
        limits = self._limits
        most = limits.max_manifest_bytes if name == MANIFEST else limits.max_field_bytes
        return FieldPart(name, most, codec)

    def _begin_file(self, start: PartStart, place: Place) -> FilePart:
        index = self.files_seen
        self.files_seen += 1
        self._count_object(place)
        filename = display_name(start.filename, index)
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
        if field.name == charset.FIELD:
            self._parser.charset = charset.codec_of(field.raw)
            return
        if field.too_long:
            self._refuse(f"`{field.name}` is longer than {field.max_bytes} bytes.")
            return
        try:
            text = field.text()
        except UnicodeDecodeError:
            self._refuse(f"`{field.name}` is not UTF-8 text. Send the form as UTF-8.")
            return
        if not text:
            return  # a form of HTML sends its empty inputs too
        self.fields.setdefault(field.name, text)
        if field.name == MODEL:
            self.models.append(text)

    def _refuse(self, detail: str) -> IgnoredPart:
        self._refusal = self._refusal or InvalidParameter(detail)
        self._pipeline.stop()
        return IgnoredPart()


def _unknown(name: str) -> str:
    outer = name.partition("[")[0]
    if outer in _OBJECTS_OF_JSON:
        return f"Send `{outer}` as one field that holds a JSON object, not in parts such as {name[:80]!r}."
    return (
        f"There is no parameter {name[:80]!r}. Files go into parts named `files`, the views of one object "
        "into parts such as `objects[chair][front]`."
    )


def _too_often(name: str) -> str:
    if name == MODEL:
        return f"More than {MAX_MODELS} fields `{MODEL}`. Compare at most {MAX_MODELS} models at once."
    return f"The parameter `{name}` came twice. Send it once."
