"""The names of parts, as the libraries of many languages write them. Pure.

Views of an object are `objects[chair][front]` and `objects[chair]`; other files and the fields have plain
names.
"""

import re
from typing import Final

from image2model.domain import SIDES
from image2model.errors import InvalidParameter
from image2model.http.upload.form import Place

_FILES: Final = re.compile(r"(?:files?|images?)(?:\[\d{0,6}\])?", re.ASCII)
_OF_ARRAY: Final = re.compile(r"(\w{1,40})(?:\[\d{0,6}\]|\{\})", re.ASCII)
_OBJECT: Final = re.compile(r"objects\[([^\[\]]{1,80})\](?:\[([^\[\]]{0,80})\])?")


def is_file(name: str) -> bool:
    """Whether it is `files`, as PHP, Rails, jQuery or axios write it."""
    return _FILES.fullmatch(name) is not None


def field_of(name: str) -> str:
    """A field's name without what says that it is an item of an array, or (axios) that it is JSON.

    `model[]` and `model[0]` are `model`, `metadata{}` is `metadata`; every other name stays as it is.
    """
    found = _OF_ARRAY.fullmatch(name)
    return name if found is None else found[1]


def place_of(name: str) -> Place | None:
    """The object and side that the part's name means; None where it means none. Raises InvalidParameter."""
    if not name.startswith("objects"):
        return None
    found = _OBJECT.fullmatch(name)
    place = Place(found[1].strip(), found[2] or "") if found else Place()
    if not place.object or not place.object.isprintable():
        raise InvalidParameter(
            f"{name[:120]!r} names no object. Write `objects[chair][front]`, or `objects[chair]` for a view "
            "without a side. A name is 1 to 80 visible characters without brackets."
        )
    if place.side and place.side not in SIDES:
        raise InvalidParameter(
            f"The object {place.object!r} has a side {place.side[:32]!r}. The sides are: {', '.join(SIDES)}."
        )
    return place
