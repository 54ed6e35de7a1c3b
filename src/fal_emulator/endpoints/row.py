"""What one row of the endpoint table is: its input fields, its outputs, its price, and what FAL says about
it.

Rows are data: the control routes read and write them as JSON under these names. Pure: no HTTP, no files.
"""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Literal

import msgspec

Kind = Literal["string", "integer", "number", "boolean", "array", "object"]
Role = Literal["picture", "side", "views", "style", "mask", "model"]
"""What a field of URLs is for. `views` is a list of pictures of one object, `side` one named view of it."""

File = Literal[
    "model",
    "glb",
    "animated",
    "fbx",
    "mtl",
    "splat",
    "archive",
    "preview",
    "texture",
    "cutout",
    "mask",
]
Group = Literal["models", "splats", "textures", "texture_files", "model_urls", "animations", "clips"]
Fact = Literal["seed", "task", "timings", "metadata", "echo", "scores", "index"]
Content = File | Group | Fact
"""What an output holds. `models`, `splats` and `textures` are lists of files, `texture_files` a list of
objects of files, `clips` one of numbered animations, `model_urls` and `animations` objects of files; a fact
is no file at all. `cutout` is the picture without its background, the main file of an endpoint that makes no
model, `mask` what it keeps."""


class PictureSize(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The pictures that a field takes: bytes of the file, sides in pixels.

    `said`: the app's document has it in the words of a description, or not at all, else in the extension
    `x-fal`.
    """

    max_file_size: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    said: bool = False


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One field of the input. `kind` is JSON Schema's type; a field with a `role` holds URLs.

    `drawn`: whether the numbers in `choices` are numbers or strings on the wire is drawn at each start. The
    bounds `above` and `below` are exclusive. `max_length` bounds a text. `formats` are those of a 3D model;
    empty: any. `picture` bounds those of a
    picture. `name` is the component under which an object's schema stands.
    """

    kind: Kind = "string"
    role: Role | None = None
    required: bool = False
    nullable: bool = False
    default: object = None
    choices: tuple[str | int | float, ...] = ()
    drawn: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_length: int | None = None
    formats: tuple[str, ...] = ()
    picture: PictureSize | None = None
    items: "Field | None" = None
    fields: dict[str, "Field"] = {}
    name: str = ""
    description: str = ""
    examples: tuple[object, ...] = ()

    @property
    def takes_null(self) -> bool:
        """An optional field without a default is pydantic's `T | None = None`."""
        return self.nullable or (not self.required and self.default is None)


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One field of the result. It is there when every parameter in `when` has its value, or has it in its
    list, or always.

    `formats` are the fields of `model_urls`, besides the model's own format.
    """

    content: Content
    required: bool = False
    when: dict[str, object] = {}
    formats: tuple[str, ...] = ()
    description: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One row of the table.

    `price` is USD for one `unit`; without one FAL lists none. `limit` names the field that bounds the number
    of triangles, `format_by` the one that says the model's format, `quads` the one that makes it FBX.
    `model_format` is the format without them. `one_of`: fields of which at least one must be given.
    """

    id: str
    title: str
    fields: dict[str, Field]
    outputs: dict[str, Output]
    category: str = "image-to-3d"
    description: str = ""
    status: Literal["active", "deprecated"] = "active"
    tags: tuple[str, ...] = ()
    license: str | None = None
    price: float | None = None
    unit: str = "generations"
    limit: str | None = None
    format_by: str | None = None
    quads: str | None = None
    model_format: str = "glb"
    one_of: tuple[str, ...] = ()

    @property
    def app(self) -> str:
        """owner/alias: what every URL but the submit's keeps."""
        return "/".join(self.id.split("/")[:2])

    @property
    def picture(self) -> str:
        """The field that holds the picture: of a list of views or of named sides, the first."""
        roles: tuple[Role, ...] = ("picture", "views", "side", "model", "style")
        found = (name for role in roles for name, field in self.fields.items() if field.role == role)
        return next(found, next(iter(self.fields), "prompt"))

    @property
    def many(self) -> bool:
        """Whether that field is a list."""
        return self.fields[self.picture].kind == "array"

    @property
    def removes_background(self) -> bool:
        """Whether its main file is the picture without its background, in place of a model."""
        return any(output.content == "cutout" for output in self.outputs.values())

    @property
    def parameters(self) -> Mapping[str, Field]:
        """The fields that hold no URLs."""
        return {name: field for name, field in self.fields.items() if field.role is None}

    @property
    def defaults(self) -> Mapping[str, object]:
        """What the fields are where the input does not say."""
        named = {name: one.default for name, one in self.fields.items() if one.default is not None}
        return MappingProxyType(named)

    def file_format(self, arguments: Mapping[str, object]) -> str:
        """The model file's format for an input whose defaults are filled in."""
        if self.quads is not None and arguments.get(self.quads) is True:
            return "fbx"
        asked = arguments.get(self.format_by) if self.format_by is not None else None
        return str(asked or self.model_format)


def drawn(endpoint: Endpoint, seed: int) -> Endpoint:
    """The row with every enumeration that is in doubt settled: of numbers, or of strings.

    Each is drawn by itself from the seed, the endpoint and the field, so the order of the table is no matter.
    """
    fields = {
        name: _settled(field, f"{seed}:{endpoint.id}:{name}") for name, field in endpoint.fields.items()
    }
    return msgspec.structs.replace(endpoint, fields=fields)


def _settled(field: Field, key: str) -> Field:
    if not field.drawn:
        return field
    if Random(key).random() < 0.5:  # noqa: S311 - repeatable, no secret
        return msgspec.structs.replace(field, drawn=False)
    words = tuple(str(choice) for choice in field.choices)
    default = None if field.default is None else str(field.default)
    return msgspec.structs.replace(field, kind="string", choices=words, default=default, drawn=False)
