"""Fetches the files that a generation is made of, checks that they are what their fields take, and writes
them into the ledger's line with the requests that made them.

Called by the studio when a generation starts.
"""

import asyncio
from typing import Final

import msgspec

from fal_emulator.endpoints import Endpoint, Field
from fal_emulator.files import Files
from fal_emulator.generation import Generation
from fal_emulator.input_urls import summary
from fal_emulator.model_input import model_format, texture_of
from fal_emulator.picture import PictureError, drawing, read_picture
from fal_emulator.picture_size import check_size
from fal_emulator.relations import InputFile, Origins, sha256
from fal_emulator.source import SourceError, load_picture
from fal_emulator.validation import InputError, Loc, Mistake, given_urls

_PICTURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM")
"""How the files begin that are pictures and no models."""
_PROMPTS: Final = ("prompt", "text_style_prompt")
_SAID: Final = "input_file_type"
"""The parameter that names the format of the model beside it."""
_SMALL: Final = 16
_LARGE: Final = 1 << 20
"""More bytes than this are looked at in a thread."""


class LoadError(Exception):
    """There is not what belongs there behind a URL of the input."""

    def __init__(self, loc: Loc, field: Field, url: str, reason: str, kind: str | None = None) -> None:
        model = field.role == "model"
        super().__init__(f"Failed to {'download the file' if model else 'load the image'}: {reason}")
        self.kind = kind or ("file_download_error" if model else "image_load_error")
        self.loc = loc
        self.given = summary(url)


class Loaded(msgspec.Struct, frozen=True):
    """What a result is made of: its texture is the first of `pictures`, its form is the relief of `shape`,
    or of the same picture. `digests`: of every input file, in the order of the fields."""

    pictures: tuple[bytes, ...]
    shape: bytes | None
    digests: list[str]


async def load(generation: Generation, files: Files, origins: Origins) -> Loaded:
    """Everything behind the input's URLs. A model keeps the form that its own texture gives it.

    What comes without a picture gets a drawing. Raises SizeError for a picture that is too large or too
    small, LoadError for the first URL behind which there is not what belongs there, InputError where there is
    nothing at all.
    """
    endpoint, given = generation.endpoint, generation.input
    pictures: list[tuple[str, bytes]] = []
    inputs: list[InputFile] = []
    model: bytes | None = None
    for loc, field, url in given_urls(endpoint, given):
        data = await _fetched(generation, loc, field, url, files)
        digest = await asyncio.to_thread(sha256, data) if len(data) > _LARGE else sha256(data)
        inputs.append(InputFile(_name(loc), summary(url), digest, len(data), origins.find(digest)))
        generation.entry.inputs = tuple(inputs)
        if field.role == "model":
            said = given.get(_SAID, endpoint.defaults.get(_SAID))
            await asyncio.to_thread(_check_model, loc, field, url, data, said)
            model = data
        elif field.role != "mask":
            await asyncio.to_thread(check_size, loc, field, summary(url), data)
            pictures.append((str(loc[0]), data))
    words = " ".join(str(given[name]) for name in _PROMPTS if given.get(name)).encode()
    _check_given(endpoint, given)
    if not pictures and not words and model is None and endpoint.picture not in endpoint.defaults:
        raise _nothing(endpoint.picture, "either a prompt or a picture must be given")
    pictures.sort(key=lambda picture: picture[0] != endpoint.picture)
    shape = None if model is None else await asyncio.to_thread(_shape, model)
    found = tuple(data for _, data in pictures)
    if not found:
        found = (drawing(words),) if words or shape is None else (shape,)
    return Loaded(found, shape, [one.sha256 for one in inputs])


async def _fetched(generation: Generation, loc: Loc, field: Field, url: str, files: Files) -> bytes:
    try:
        return await load_picture(url, files, generation.base_url)
    except SourceError as error:
        raise LoadError(loc, field, url, str(error)) from error


def _check_model(loc: Loc, field: Field, url: str, data: bytes, said: object) -> None:
    """FAL's pages name the formats; what it says of another one is not known, so the words are ours.

    `said`: the format that the input itself names.
    """
    if not data or data.startswith(_PICTURES):
        raise LoadError(loc, field, url, "it is no 3D model")
    form = model_format(data)
    if field.formats and form not in ((said,) if isinstance(said, str) else field.formats):
        known = str(said or ", ".join(field.formats))
        reason = f"it is {form or 'of no known format'}, and the model takes {known}"
        raise LoadError(loc, field, url, reason, "feature_not_supported")


def _shape(model: bytes) -> bytes:
    """The picture whose relief the model is: its texture, as in a model of ours, or else a drawing."""
    texture = texture_of(model)
    try:
        if texture is not None and read_picture(texture, _SMALL).width:
            return texture
    except PictureError:
        pass  # a texture of a kind that nobody here reads, such as KTX2
    return drawing(model)


def _check_given(endpoint: Endpoint, given: dict[str, object]) -> None:
    if endpoint.one_of and not any(given.get(name) for name in endpoint.one_of):
        raise _nothing(endpoint.one_of[0], f"either {' or '.join(endpoint.one_of)} must be given")


def _nothing(field: str, words: str) -> InputError:
    return InputError([Mistake(f"Value error, {words}", "value_error", (field,), None)])


def _name(loc: Loc) -> str:
    """The field's path: `image_urls[1]`."""
    return "".join(f"[{one}]" if isinstance(one, int) else one for one in loc)
