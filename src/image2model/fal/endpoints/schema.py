"""What FAL's OpenAPI document says about an endpoint: its inputs, parameters and outputs.

The records are kept in the store, so fields are only added, each with a default. Pure: no I/O.
"""

from typing import Literal

import msgspec

from image2model.domain import PictureLimits
from image2model.fal.endpoints.parameter import Parameter

Role = Literal["picture", "side", "views", "style", "mask", "model"]
"""What an input is for.

`picture`: the object. `side`: the object from one named side. `views`: the object from several sides, in one
list. `style`: a picture for its style or texture. `mask`: which part of the picture. `model`: a 3D model.
"""
Shape = Literal["file", "list", "object"]
"""How an output holds its files: one, a list of them, or an object whose fields are files."""


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of FAL's input that takes files by URL.

    `side` is set for the role `side`: front, back, left, right, top, bottom, left_front or right_front.
    `many`: FAL takes a list, of `min` to `max` URLs (None: no limit is known).
    """

    name: str
    role: Role
    description: str = ""
    side: str | None = None
    required: bool = False
    many: bool = False
    min: int = 1
    max: int | None = 1
    limits: PictureLimits | None = None
    """How large a picture it takes, where FAL says it."""


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of FAL's output that holds files. `fields`: the names in an object of files, where known."""

    name: str
    shape: Shape = "file"
    description: str = ""
    required: bool = False
    fields: tuple[str, ...] = ()


class EndpointSchema(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One endpoint as FAL describes it; parameters are in FAL's own order.

    `source`: whether it was read from FAL, or is the copy that comes with the release. `status` is FAL's
    word, `active` where it may be used. `retired_at` is when FAL stopped listing it (ms since the epoch): it
    takes no new pictures, and those that run are finished.
    """

    id: str
    title: str
    category: str = "image-to-3d"
    description: str = ""
    status: str = "active"
    license: str | None = None
    inputs: tuple[Input, ...] = ()
    parameters: tuple[tuple[str, Parameter], ...] = ()
    outputs: tuple[Output, ...] = ()
    source: Literal["fal", "built-in"] = "built-in"
    retired_at: int | None = None
