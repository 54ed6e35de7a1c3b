"""The names of parts that are views of an object: `objects[chair][front]`, `objects[chair]`. Pure."""

import re
from typing import Final

from image2model.domain import SIDES
from image2model.errors import InvalidParameter
from image2model.http.upload.form import Place

_OBJECT: Final = re.compile(r"objects\[([^\[\]]{1,80})\](?:\[([^\[\]]{0,80})\])?")


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
