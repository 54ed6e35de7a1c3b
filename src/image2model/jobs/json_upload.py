"""An upload as JSON: pictures as addresses or in base64, and the options of the form in JSON's own types.

It becomes the same `ReceivedBatch` as a form, with a form's texts as fields, so everything after it is one
path. Raises InvalidParameter with what to do instead.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, TypeGuard
from urllib.parse import unquote, urlsplit

import msgspec
from starlette.types import Receive

from image2model.domain import SIDES, PictureAddress
from image2model.errors import FileProblem, ImageUnreadable, InvalidParameter, NoFiles, TooManyFiles
from image2model.http.upload import (
    AddressedFile,
    Inspect,
    ReceivedBatch,
    Sink,
    UploadBudget,
    UploadLimits,
)
from image2model.http.upload.base64_text import decoded
from image2model.http.upload.form import FilePart
from image2model.http.upload.json_text import LONG, JsonText, Pieces
from image2model.http.upload.limits import JSON_BYTES, PacedBody, Reservation, check_declared_length
from image2model.http.upload.names import display_name
from image2model.http.upload.pipeline import FilePipeline
from image2model.http.upload.reader import MANIFEST, MAX_MODELS, MODEL, too_many_objects
from image2model.jobs.fetches import MOST_ADDRESS
from image2model.jobs.manifest import read_manifest
from image2model.network.public_addresses import ascii_url, url_problem
from image2model.shielded import in_thread

EXAMPLE: Final = '{"images": [{"url": "https://example.com/chair.png"}, {"data": "iVBORw0…"}]}'
_PICTURE: Final = ("url", "data", "filename")
_IMAGE: Final = (*_PICTURE, "metadata")
_VIEW: Final = (*_PICTURE, "side")
_OBJECT: Final = ("name", "views", "metadata")
_FLAG, _TEXT, _WHOLE, _DOLLARS, _JSON = "true or false", "a text", "a whole number", "a number", "an object"
OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "params": (_JSON,),
    "params_strict": (_FLAG,),
    "face_limit": (_WHOLE,),
    "variants": (_WHOLE,),
    "max_cost_usd": (_DOLLARS,),
    "webhook_url": (_TEXT,),
    "priority": (_TEXT,),
    "no_cache": (_FLAG,),
    "remove_background": (_FLAG, _TEXT),
    "crop": (_FLAG,),
    "pad_square": (_FLAG,),
    "confirm_prepared": (_FLAG,),
    "on_invalid": (_TEXT,),
    "metadata": (_JSON,),
}
"""The fields of the form, and what each is in JSON. A text as a form has it is taken everywhere."""
_MEMBERS: Final = ("images", "objects", MODEL, *OPTIONS)
_MANY_QUOTES: Final = 2000
"""Strings in one chunk from which on it is read in a thread."""
_loose: Final = msgspec.json.Decoder()


class _Picture(msgspec.Struct, frozen=True):
    """One picture of the text, in its order. Exactly one of `url` and `pieces` is set."""

    index: int
    filename: str
    url: str | None
    pieces: Pieces | None


async def read_json_batch(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    limits: UploadLimits,
    budget: UploadBudget,
    inspect: Inspect,
    sink: Sink,
    allow_private: bool,
) -> ReceivedBatch:
    """Read a whole upload, as `http.upload.read_batch` does with a form.

    `allow_private`: addresses may be private too. Raises BodyTooLarge, InvalidParameter, NoFiles,
    TooManyFiles, UploadTooSlow, ClientDisconnect, and whatever `sink` raises.
    """
    limits = msgspec.structs.replace(limits, max_total_bytes=min(limits.max_total_bytes, JSON_BYTES))
    check_declared_length(headers, limits)
    with budget.open() as reservation:
        text = JsonText()
        body = PacedBody(receive, limits, crowded=lambda: budget.waiting > 0)
        while chunk := await body.read():
            await reservation.take(len(chunk))
            if chunk.count(b'"') > _MANY_QUOTES:
                await in_thread(text.feed, chunk)
            else:
                text.feed(chunk)
        document = _Document(await in_thread(_parsed, text), text, limits)
        async with FilePipeline(inspect, sink, reservation, limits.files_in_flight) as pipeline:
            addressed = await _read_pictures(document.pictures, pipeline, reservation, limits, allow_private)
    return ReceivedBatch(
        files=pipeline.good,
        bad=pipeline.bad,
        fields=document.fields,
        models=document.models,
        addressed=tuple(addressed),
    )


def _parsed(text: JsonText) -> object:
    try:
        return _loose.decode(text.text.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"The body must be JSON such as {EXAMPLE}: {str(error)[:200]}") from None


async def _read_pictures(
    pictures: list[_Picture],
    pipeline: FilePipeline,
    reservation: Reservation,
    limits: UploadLimits,
    allow_private: bool,
) -> list[AddressedFile]:
    """Decode the pictures in base64 into the pipeline. Returns those with an address that may be called."""
    addressed = []
    for one in pictures:
        part = FilePart(one.index, one.filename, limits.max_file_bytes, pipeline.inspect)
        if one.url is not None:
            url = ascii_url(one.url.strip())
            why = url_problem(url, allow_private=allow_private, allow_http=True, most=MOST_ADDRESS)
            if why is None:
                addressed.append(AddressedFile(one.index, one.filename, PictureAddress(url)))
            else:
                pipeline.refuse(part, ImageUnreadable(f"`url` {why}"))
        if one.pieces is None:
            continue
        size = sum(map(len, one.pieces))
        try:
            await in_thread(_decode_into, part, one.pieces)
        except FileProblem as problem:
            part.problem = problem
        part.held = min(part.kept, size)
        reservation.release(size - part.held)
        if part.problem is None:
            await pipeline.put(part)
        else:
            pipeline.refuse(part, part.problem)
            reservation.release(part.held)
    return addressed


def _decode_into(part: FilePart, pieces: Pieces) -> None:
    """Blocks. What is decoded is dropped from `pieces`. Raises NotAnImage."""
    pieces.reverse()
    for data in decoded(iter(lambda: pieces.pop() if pieces else b"", b"")):
        part.feed(data)
        if part.problem is not None:
            pieces.clear()


class _Document:
    """The text's members, checked. `fields` and `models` are those of a form."""

    def __init__(self, value: object, text: JsonText, limits: UploadLimits) -> None:
        self._text = text
        self._limits = limits
        members = _members(value, "The body", _MEMBERS)
        self.pictures: list[_Picture] = []
        manifest = {
            "files": list(self._images(members.get("images"))),
            "objects": list(self._objects(members.get("objects"))),
        }
        self._check_count(manifest)
        self.models = _models(members.get(MODEL))
        given = {name: _as_text(name, members.get(name)) for name in OPTIONS}
        self.fields = {name: value for name, value in given.items() if value}
        if self.models:
            self.fields[MODEL] = self.models[0]
        if manifest["objects"] or any(one["metadata"] for one in manifest["files"]):
            self.fields[MANIFEST] = msgspec.json.encode(manifest).decode()
            _check_manifest(self.fields[MANIFEST], len(self.pictures))
        if text.left:
            raise InvalidParameter(f"A text of more than {LONG} bytes stands outside of `data`.")

    def _images(self, value: object) -> Iterator[dict[str, object]]:
        """The manifest's entries: one for each, so that a refusal names the right one."""
        for where, entry in _entries(value, "images"):
            members = _members(entry, where, _IMAGE)
            metadata = members.get("metadata")
            yield {
                "part": self._picture(members, where),
                "metadata": {} if metadata is None else metadata,
            }

    def _objects(self, value: object) -> Iterator[dict[str, object]]:
        for where, entry in _entries(value, "objects"):
            members = _members(entry, where, _OBJECT)
            views = []
            for place, one in _entries(members.get("views"), "views", where):
                view = _members(one, place, _VIEW)
                side = view.get("side") or ""
                if side not in ("", *SIDES):
                    raise InvalidParameter(
                        f"{place} has a side {str(side)[:32]!r}. The sides are: {', '.join(SIDES)}."
                    )
                views.append({"part": self._picture(view, place), "side": side})
            if not views:
                raise InvalidParameter(f"{where} needs `views`: a list of pictures, as in `images`.")
            yield {
                "name": members.get("name") or "",
                "views": views,
                "metadata": {} if members.get("metadata") is None else members["metadata"],
            }

    def _picture(self, members: Mapping[str, object], where: str) -> int:
        """Note one picture; returns its index."""
        url, data, filename = (members.get(name) for name in _PICTURE)
        if (url is None) == (data is None):
            raise InvalidParameter(
                f"{where} must have either `url`, an address, or `data`, the picture in base64."
            )
        for name, value in (("url", url), ("data", data), ("filename", filename)):
            if not isinstance(value, str | None):
                raise InvalidParameter(f"`{name}` of {where} must be a text.")
        index = len(self.pictures)
        if index >= self._limits.max_pictures:
            raise TooManyFiles(
                f"More than {self._limits.max_pictures} pictures. Send them as several batches."
            )
        named = _name_in(str(url)) if url is not None and not filename else filename
        name = display_name(None if named is None else str(named), index)
        pieces = None if data is None else self._text.take(str(data)) or [str(data).encode()]
        picture = _Picture(index, name, None if url is None else str(url), pieces)
        self.pictures.append(picture)
        return index

    def _check_count(self, manifest: Mapping[str, list[dict[str, object]]]) -> None:
        if not self.pictures:
            raise NoFiles(f"The body has no picture. Send at least one, as in {EXAMPLE}.")
        views = sum(len(one["views"]) for one in manifest["objects"] if isinstance(one["views"], list))
        if len(self.pictures) - views + len(manifest["objects"]) > self._limits.max_objects:
            raise too_many_objects(self._limits.max_objects)


def _check_manifest(manifest: str, pictures: int) -> None:
    """Raises InvalidParameter, in the words of this text."""
    try:
        read_manifest(manifest, pictures)
    except InvalidParameter as problem:
        detail = problem.detail.replace(" of `manifest`", "").replace("`files[", "`images[")
        raise InvalidParameter(detail) from None


def _name_in(url: str) -> str | None:
    """The file's name in an address: its last segment. What stands behind `?` is none of it."""
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return None


def _members(value: object, where: str, known: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidParameter(f"{where} must be a JSON object, as in {EXAMPLE}.")
    unknown = [name for name in value if name not in known]
    if unknown:
        names = ", ".join(repr(name[:80]) for name in unknown[:5])
        raise InvalidParameter(f"{where} has no member {names}. It knows: {', '.join(known)}.")
    return value


def _entries(value: object, name: str, of: str = "") -> Iterator[tuple[str, object]]:
    """Each entry of a list, with its name in a refusal; `of`: the entry that the list belongs to."""
    behind = f" of {of}" if of else ""
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidParameter(f"`{name}`{behind} must be a list, as in {EXAMPLE}.")
    for index, entry in enumerate(value):
        yield f"`{name}[{index}]`{behind}", entry


def _models(value: object) -> tuple[str, ...]:
    models = value if isinstance(value, list) else [value]
    given = [one for one in models if one is not None and one != ""]
    found = tuple(one for one in given if isinstance(one, str))
    if len(found) < len(given):
        raise InvalidParameter(f"`{MODEL}` must be a model's id, or a list of them.")
    if len(found) > MAX_MODELS:
        raise InvalidParameter(
            f"More than {MAX_MODELS} in `{MODEL}`. Compare at most {MAX_MODELS} models at once."
        )
    return found


def _as_text(name: str, value: object) -> str | None:
    """The option as a form has it; None where it is not sent. Raises InvalidParameter."""
    if value is None or isinstance(value, str):
        return value
    kinds = OPTIONS[name]
    if isinstance(value, bool):
        if _FLAG in kinds:
            return "true" if value else "false"
    elif isinstance(value, int) and (_WHOLE in kinds or _DOLLARS in kinds):
        return str(value)
    elif isinstance(value, float) and (_DOLLARS in kinds or (_WHOLE in kinds and value.is_integer())):
        return str(int(value)) if _WHOLE in kinds else f"{Decimal(repr(value)):f}"
    elif _is_object(value) and _JSON in kinds:
        return msgspec.json.encode(value, order="sorted").decode()
    raise InvalidParameter(f"`{name}` must be {' or '.join(kinds)}.")


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
