"""Which of an object's pictures goes into which input of an endpoint.

Endpoints take pictures in three ways: one picture, one for each named side, or a list. An object is the sides
of its views in order, an empty text where none is named. Pure: no I/O.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from image2model.domain import SIDES
from image2model.errors import InvalidParameter
from image2model.fal.endpoints.endpoint import Endpoint, Params
from image2model.fal.endpoints.parameter import Json, Parameter
from image2model.fal.endpoints.schema import Input

_PICTURES: Final = frozenset({"picture", "side", "views"})
_SEVERAL: Final = "GET /api/v1/models shows what each model takes, as `inputs`"


class View(msgspec.Struct, frozen=True):
    """One picture of an object at FAL. `side`: the named side that it shows, or empty."""

    url: str
    side: str = ""


def takes_pictures(endpoint: Endpoint) -> bool:
    """Whether pictures alone can run it, however many."""
    roles = [one.role for one in endpoint.schema.inputs]
    return any(role in _PICTURES for role in roles) and all(
        one.role in _PICTURES for one in endpoint.schema.inputs if one.required
    )


def check_views(endpoint: Endpoint, name: str, sides: Sequence[str], params: Params) -> None:
    """Raises InvalidParameter where the endpoint does not take an object `name` with views of these sides.

    Parameters may hold the addresses of other views.
    """
    _arranged(endpoint, name, sides, params)


def payload(endpoint: Endpoint, name: str, views: Sequence[View], params: Params) -> dict[str, object]:
    """The input of FAL's endpoint: the views' URLs under the model's own names, and the parameters.

    Values take the JSON types of the schema as it is now. Raises InvalidParameter as `check_views`.
    """
    fields = _arranged(endpoint, name, [view.side for view in views], params)
    urls: dict[str, list[str]] = {}
    for field, view in zip(fields, views, strict=True):
        urls.setdefault(field.name, []).append(view.url)
    body: dict[str, object] = {
        field.name: urls[field.name] if field.many else urls[field.name][0] for field in fields
    }
    for param, value in params.items():
        body[param] = in_type(endpoint.parameters.get(param), value)
    return body


def in_type(parameter: Parameter | None, value: Json) -> Json:
    """The value in the schema's JSON type. FAL may have changed the schema since the value was accepted: then
    FAL decides whether it still takes it."""
    if parameter is None:
        return value
    try:
        return parameter.accept(value)
    except ValueError:
        return value


def _arranged(endpoint: Endpoint, name: str, sides: Sequence[str], params: Params) -> list[Input]:
    """The input of each view."""
    if not takes_pictures(endpoint):
        raise InvalidParameter(f"Pictures alone cannot run {endpoint.id}: it {endpoint.needs}.")
    # a side that a model with named sides does not know is refused, and never sent as another
    alone = len(sides) == 1 and not (sides[0] and _by_side(endpoint))
    fields = [_single(endpoint)] if alone else _several(endpoint, name, sides)
    _check(endpoint, name, fields, params)
    return fields


def _single(endpoint: Endpoint) -> Input:
    """The input of one picture, whichever side it shows."""
    field = endpoint.picture or _by_side(endpoint).get("front") or _of_role(endpoint, "views")
    if field is None:
        raise InvalidParameter(f"One picture cannot run {endpoint.id}: it {endpoint.needs}.")
    return field


def _several(endpoint: Endpoint, name: str, sides: Sequence[str]) -> list[Input]:
    by_side, views = _by_side(endpoint), _of_role(endpoint, "views")
    picture = _of_role(endpoint, "picture")
    if by_side and picture is not None:
        by_side.setdefault("front", picture)
    named = [by_side.get(side) for side in sides]
    if all(named) and by_side:
        return [field for field in named if field is not None]
    if views is not None:
        return [views] * len(sides)
    if not by_side:
        raise InvalidParameter(
            f"{endpoint.id} makes a model of one picture, and the object {name!r} has {len(sides)} views. "
            f"Send each as a file of its own, or choose a model that takes several: {_SEVERAL}."
        )
    known = ", ".join(side for side in SIDES if side in by_side)
    if "" in sides:
        raise InvalidParameter(
            f"{endpoint.id} takes a picture of each named side, and views of the object {name!r} have none. "
            f"Name the sides ({known}): `objects[{name}][front]`."
        )
    unknown = ", ".join(side for side in sides if side not in by_side)
    raise InvalidParameter(
        f"{endpoint.id} takes no view of the side {unknown}, which the object {name!r} has. "
        f"Leave it out; the sides are: {known}."
    )


def _check(endpoint: Endpoint, name: str, fields: Sequence[Input], params: Params) -> None:
    used = {field.name for field in fields}
    if both := sorted(used & params.keys()):
        raise InvalidParameter(
            f"{both[0]} is a view of the object {name!r} already: leave it out of `params`, or leave out the "
            "view."
        )
    missing = [one for one in endpoint.schema.inputs if one.required and one.name not in {*used, *params}]
    if missing:
        sides = [one.side or "front" for one in missing]
        raise InvalidParameter(
            f"{endpoint.id} needs another view of the object {name!r}: {', '.join(sides)}. Add it, as in "
            f"`objects[{name}][{sides[0]}]`."
        )
    for field in {id(field): field for field in fields}.values():
        count = sum(one is field for one in fields)
        if not field.many and count > 1:
            raise InvalidParameter(f"{endpoint.id} takes one picture of each side; {name!r} has {count}.")
        if field.many and (count < field.min or (field.max is not None and count > field.max)):
            limit = f"{field.min} or more" if field.max is None else f"{field.min} to {field.max}"
            raise InvalidParameter(
                f"{endpoint.id} takes {limit} views of one object, and {name!r} has {count}."
            )


def _by_side(endpoint: Endpoint) -> dict[str, Input]:
    return {one.side: one for one in endpoint.schema.inputs if one.role == "side" and one.side}


def _of_role(endpoint: Endpoint, role: str) -> Input | None:
    """The input of this role, a required one first."""
    found = [one for one in endpoint.schema.inputs if one.role == role]
    return next((one for one in found if one.required), found[0] if found else None)
