"""One endpoint of FAL: its schema, its row of the overlay, and FAL's current unit price, in one.

Pure: no I/O.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec

from image2model.domain import PictureLimits
from image2model.errors import InvalidParameter
from image2model.fal.endpoints.overlay import NO_ROW, Row
from image2model.fal.endpoints.parameter import Json, Parameter, bounded, count_of
from image2model.fal.endpoints.picture_limits import USUAL, tightest
from image2model.fal.endpoints.schema import EndpointSchema, Input
from image2model.money import MICRO, to_micro

Params = Mapping[str, Json]
Outputs = Mapping[str, tuple[str, ...]]

CUTOUT: Final = "cutout"
"""The kind of file that is a picture without its background."""
_MODEL_FIELDS: Final = ("pbr_model", "model_glb", "model_mesh", "base_model", "model", "mesh", "glb")
_PREVIEW_FIELDS: Final = ("rendered_image", "thumbnail", "preview", "preview_image", "preview_render")
_KIND: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
"""A kind is a part of a path. Files under other names are found all the same, under a name that is safe."""
_TAKEN_KINDS: Final = frozenset({"glb", "model", "original"})
"""`model_urls.glb` is the model, and `original` is the picture."""
_SEEDS: Final = ("seed", "model_seed", "geometry_seed", "mesh_seed", "random_seed")
"""Names of the parameter that decides what a run makes of the same inputs, the first present one. The seed of
a texture alone is none: the shape would be the same."""
_PICTURES: Final = frozenset({"picture", "side", "views", "style"})
_PER_RUN: Final = re.compile(
    r"(?:per[ _-])?(?:generations?|requests?|runs?|images?|(?:3d[ _-])?models?|mesh(?:es)?|outputs?|assets?|"
    r"objects?|splats?)",
    re.IGNORECASE,
)
"""The units of FAL's prices of which one run with one picture needs one."""
_LEAST_RATIO: Final = 0.5
"""A live price of less than this part of the overlay's reference is taken for one of a smaller unit."""
_MAX_URL: Final = 2_048
_URL: Final = re.compile(r"https://[^\s\"<>\\]+", re.ASCII)
_MAX_EXTRA: Final = 64
_MAX_FAULTS: Final = 20


class UnitPrice(msgspec.Struct, frozen=True):
    """FAL's price of one unit of an endpoint's work, by FAL's own words."""

    unit_price: float
    unit: str | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """What the service knows of an endpoint. Made again whenever FAL's schema or price has changed."""

    schema: EndpointSchema
    row: Row = NO_ROW
    unit_price: UnitPrice | None = None

    @property
    def id(self) -> str:
        """FAL's name of it, such as `fal-ai/trellis`."""
        return self.schema.id

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.schema.title or self.schema.id

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters in FAL's order, without those that take files."""
        return dict(self.schema.parameters)

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs of files by name."""
        return {one.name: one for one in self.schema.inputs}

    @cached_property
    def picture(self) -> Input | None:
        """The input that one picture goes into; None where one picture alone cannot run the endpoint."""
        required = [one for one in self.schema.inputs if one.required]
        candidates = [one for one in self.schema.inputs if _takes_one_picture(one)]
        wanted = [one for one in candidates if one.required] or sorted(candidates, key=_by_role)
        if not wanted or any(one is not wanted[0] for one in required):
            return None
        return wanted[0]

    @cached_property
    def picture_limits(self) -> PictureLimits:
        """The largest picture to send to it: as FAL says, or the maker of the model, else as is usual.

        FAL often says it of one of an endpoint's pictures only, and means all of them.
        """
        stated = (
            tightest(one.limits for one in self.schema.inputs if one.role in _PICTURES) or PictureLimits()
        )
        known = self.row.limits or USUAL

        def limit(name: str) -> int | None:
            found: int | None = getattr(stated, name)
            return getattr(known, name) if found is None else found

        return PictureLimits(**{name: limit(name) for name in PictureLimits.__struct_fields__})

    @cached_property
    def needs(self) -> str | None:
        """Why one picture cannot run it, in words; None where it can."""
        if self.picture is not None:
            return None
        required = [one for one in self.schema.inputs if one.required] or list(self.schema.inputs)
        sides = [one.side.replace("_", " ") for one in required if one.side]
        parts = [f"pictures of its sides: {', '.join(sides)}"] if sides else []
        parts += [_NEEDS[one.role].format(count=one.min) for one in required if one.role in _NEEDS]
        return f"needs {' and '.join(parts)}" if parts else "takes no picture"

    @property
    def removes_background(self) -> bool:
        """Whether it makes no model but a picture without its background, a file of the kind `cutout`."""
        return bool(self.row.cutout)

    @property
    def face_limit_param(self) -> str | None:
        """The parameter that limits the model's faces."""
        name = self.row.face_limit
        return name if name in self.parameters else None

    @cached_property
    def seed_param(self) -> str | None:
        """The parameter whose value makes another model of the same picture."""
        for name in _SEEDS:
            one = self.parameters.get(name)
            if one is not None and one.type == "integer" and not one.enum:
                return name
        return None

    @cached_property
    def outputs(self) -> Outputs:
        """File kinds, each with the fields of FAL's output that may hold it: the first present field wins.

        A dot enters an object. Files in other fields are found without it.
        """
        if self.row.cutout:
            return {CUTOUT: (self.row.cutout,)}
        named = {one.name: one for one in self.schema.outputs}
        models = self.row.model or tuple(name for name in _MODEL_FIELDS if name in named)
        found: dict[str, tuple[str, ...]] = {"model": (*models, "model_urls.glb")}
        if preview := tuple(name for name in _PREVIEW_FIELDS if name in named):
            found["preview"] = preview
        for name, kind in self.row.kinds.items():
            found[kind] = (name,)
        urls = named.get("model_urls")
        for name in urls.fields if urls else ():
            kind = name.lower().replace("_", "-")
            if kind not in found and kind not in _TAKEN_KINDS and _KIND.fullmatch(kind):
                found[kind] = (f"model_urls.{name}",)
        return found

    @property
    def license(self) -> str | None:
        """The license of what it makes, where it is known."""
        return self.schema.license or self.row.license

    @cached_property
    def params_schema(self) -> dict[str, object]:
        """The parameters as a JSON Schema object that allows no other names, in FAL's order.

        Files besides the picture (a style, a mask) are parameters too: the https address of one.
        """
        properties = {name: one.schema() for name, one in self.parameters.items()}
        properties |= {name: _url_schema(one) for name, one in self.inputs.items() if one is not self.picture}
        schema: dict[str, object] = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
        if required := [name for name, one in self.parameters.items() if one.required]:
            schema["required"] = required
        return schema

    def setting(self, params: Params, name: str) -> Json:
        """The value that a run would use: the parameter's, else FAL's default."""
        if name in params:
            return params[name]
        parameter = self.parameters.get(name)
        return parameter.default if parameter else None

    def price(self, params: Params) -> int | None:
        """Micro-dollars for one picture with these parameters; None where only the run shows it."""
        if self.row.price is None:
            return self._live_micro
        stated = self.row.price(lambda name: self.setting(params, name))
        ratio = self._ratio
        return stated if ratio is None else round(stated * ratio)

    @property
    def price_source(self) -> str | None:
        """Where the price comes from: `fal`, `table`, or None where there is none."""
        if self.price({}) is None:
            return None
        return "table" if self.row.price is not None and self._ratio is None else "fal"

    @property
    def price_note(self) -> str:
        """The price in words."""
        live = self.unit_price
        now = f"{live.unit_price:g} {live.currency or 'USD'} per {live.unit or 'unit'}" if live else ""
        if self.row.note:
            return (
                self.row.note if self._ratio in (None, 1) else f"{self.row.note}; now {now}, the rest alike"
            )
        return now or "not known before the run"

    def reservation(self, params: Params) -> int:
        """Micro-dollars to set aside for one picture: its price, else the price of one unit."""
        price = self.price(params)
        return self.row.unit_micro if price is None else price

    @property
    def _ratio(self) -> float | None:
        """FAL's price now by the one that the row was written for: the steps by parameter change with it.

        None where either is not known in the same unit.
        """
        live, reference = self._live_micro, self.row.reference
        if live is None or not reference or live < reference * _LEAST_RATIO:
            return None
        return live / reference

    @property
    def _live_micro(self) -> int | None:
        """FAL's price of one run in micro-dollars, where its unit is one run."""
        live = self.unit_price
        if live is None or live.currency not in (None, "USD") or not 0 < live.unit_price < MICRO:
            return None
        if live.unit is None or not _PER_RUN.fullmatch(live.unit.strip()):
            return None
        return to_micro(live.unit_price)


def normalise(
    endpoint: Endpoint, params: Mapping[str, object], face_limit: int | None = None, *, strict: bool = True
) -> dict[str, Json]:
    """The parameters with sorted keys and values in the JSON types of FAL's schema; no default is filled in.

    `face_limit` becomes the model's own parameter. Without `strict`, unknown parameters are passed through.
    Raises InvalidParameter, which names every fault at once, up to 20.
    """
    accepted: dict[str, Json] = {}
    faults: list[str] = []
    for name, value in params.items():
        if len(faults) >= _MAX_FAULTS:
            break
        _accept(endpoint, name, value, accepted, faults, strict=strict)
    if face_limit is not None:
        _accept_face_limit(endpoint, face_limit, accepted, faults)
    faults += [
        f"{name} is required by {endpoint.id}"
        for name, one in endpoint.parameters.items()
        if one.required and name not in params and name not in accepted
    ]
    if faults:
        raise InvalidParameter("; ".join(faults))
    return dict(sorted(accepted.items()))


def _takes_one_picture(one: Input) -> bool:
    if one.role == "picture" or (one.role == "side" and one.side == "front"):
        return True
    return one.role == "views" and one.min <= 1


def _by_role(one: Input) -> int:
    return ("picture", "views", "side").index(one.role)


_NEEDS: Final = {
    "model": "a 3D model",
    "views": "{count} pictures of one object",
    "mask": "a mask",
    "style": "a picture of the style",
    "picture": "a picture",
}


def _accept(
    endpoint: Endpoint,
    name: str,
    value: object,
    accepted: dict[str, Json],
    faults: list[str],
    *,
    strict: bool,
) -> None:
    parameter = endpoint.parameters.get(name)
    try:
        if parameter is not None:
            accepted[name] = parameter.accept(value)
        elif (one := endpoint.inputs.get(name)) is not None and one is not endpoint.picture:
            accepted[name] = _addresses(one, value)
        elif strict or one is not None:
            faults.append(_unknown(endpoint, name))
        elif len(name) > _MAX_EXTRA or not name.isidentifier():
            faults.append(f"{name[:_MAX_EXTRA]!r} is not a name that FAL could know")
        else:
            accepted[name] = bounded(value)
    except ValueError as fault:
        faults.append(f"{name} {fault}")


def _unknown(endpoint: Endpoint, name: str) -> str:
    if endpoint.picture is not None and name == endpoint.picture.name:
        return f"{name} is the picture itself: send it as a file"
    on_offer = [
        *endpoint.parameters,
        *(name for name, one in endpoint.inputs.items() if one is not endpoint.picture),
    ]
    near = difflib.get_close_matches(name[:_MAX_EXTRA], on_offer, n=1)
    shown = f"{name[:_MAX_EXTRA]!r} is not a parameter of {endpoint.id}"
    if near:
        return f"{shown}; did you mean {near[0]!r}?"
    return f"{shown}, which has: {', '.join(sorted(on_offer)) or 'none'}"


def _addresses(one: Input, value: object) -> Json:
    given = value if one.many and isinstance(value, list) else [value]
    most = one.max if one.many else 1
    if len(given) < one.min or (most is not None and len(given) > most):
        raise ValueError(f"must be {count_of(one.min, most)} addresses")
    for address in given:
        if not isinstance(address, str) or len(address) > _MAX_URL or not _URL.fullmatch(address):
            raise ValueError(f"must be the https address of a file, of at most {_MAX_URL} characters")
    return list(given) if one.many else str(given[0])


def _url_schema(one: Input) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string", "format": "uri"}
    if one.many:
        schema = {"type": "array", "items": schema, "minItems": one.min}
        if one.max is not None:
            schema["maxItems"] = one.max
    if one.description:
        schema["description"] = one.description
    return schema


def _accept_face_limit(
    endpoint: Endpoint, face_limit: int, accepted: dict[str, Json], faults: list[str]
) -> None:
    own = endpoint.face_limit_param
    if own is None:
        faults.append(f"{endpoint.id} has no limit of faces: leave face_limit out")
        return
    try:
        value = endpoint.parameters[own].accept(face_limit)
    except ValueError as fault:
        faults.append(f"face_limit {fault}")
        return
    if accepted.setdefault(own, value) != value:
        faults.append(f"face_limit and params.{own} differ: give only one of them")
