"""Which views an endpoint takes, by the inputs in `GET /models`, and where each must be in FAL's input.

Knows the public interface alone. Views are their sides in the order of the form, an empty text for no side.
"""

from collections.abc import Iterator
from typing import Any, Final

ORDER: Final = ("front", "back", "left", "right", "top", "bottom", "left_front", "right_front", "")
PLAIN: Final = ("",)
_MOST: Final = 8

Views = tuple[str, ...]


def least_views(model: dict[str, Any]) -> Views | None:
    """What runs it with the fewest pictures: one where that is enough. None: pictures alone cannot."""
    if not model["available"]:
        return None
    if not model["needs"]:
        return PLAIN
    listed = _of_role(model, "views")
    if listed is not None:
        return ("",) * int(max(1, listed["min"]))
    sides = _by_side(model)
    return tuple(side for side in sides if sides[side]["required"])


def several_views(model: dict[str, Any]) -> Iterator[Views]:
    """Objects that it takes, each for another reason; none for an endpoint of one picture."""
    if not model["available"]:
        return
    if sides := list(_by_side(model)):
        required = [side for side in sides if _by_side(model)[side]["required"]]
        optional = [side for side in sides if side not in required]
        yield tuple(reversed(sides))
        for side in optional:
            yield (side, *required)
    if (listed := _of_role(model, "views")) is not None:
        most = min(listed["max"] or _MOST, _MOST)
        for count in sorted({max(listed["min"], 1), max(listed["min"], 2), most}):
            yield ("",) * count
        yield ("left", "", "front", "back")[:most]


def expected(model: dict[str, Any], views: Views) -> dict[str, int | list[int]]:
    """FAL's input: for each field the indices of its views in the form."""
    by_side, listed = _by_side(model), _of_role(model, "views")
    order = sorted(range(len(views)), key=lambda at: (ORDER.index(views[at]), at))
    if len(views) == 1 and not views[0] and by_side:
        return {by_side["front"]["name"]: 0}
    if by_side and all(views):
        return {by_side[views[at]]["name"]: at for at in order}
    if listed is not None:
        return {listed["name"]: list(order)}
    picture = _of_role(model, "picture")
    assert picture is not None, model["id"]
    return {picture["name"]: 0}


def _by_side(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The inputs of named sides; where there are any, the picture shows the front."""
    found = {one["side"]: one for one in model["inputs"] if one["role"] == "side"}
    picture = _of_role(model, "picture")
    if found and picture is not None:
        found.setdefault("front", picture)
    return found


def _of_role(model: dict[str, Any], role: str) -> dict[str, Any] | None:
    return next((one for one in model["inputs"] if one["role"] == role), None)
