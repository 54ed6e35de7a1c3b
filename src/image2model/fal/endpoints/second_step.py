"""A second step: an endpoint that takes a 3D model, and which of its inputs the model and a picture go into.

Pure: no I/O.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from image2model.errors import InvalidParameter
from image2model.fal.endpoints.endpoint import Endpoint, Params
from image2model.fal.endpoints.parameter import Parameter
from image2model.fal.endpoints.schema import Input
from image2model.fal.endpoints.views import in_type

FORMATS: Final = ("glb", "gltf", "fbx", "obj", "usdz", "stl", "ply", "3mf", "dae", "blend")
"""Model formats that a schema may name, the better ones first."""
_NAMED: Final = re.compile(rf"\b({'|'.join(FORMATS)})\b", re.IGNORECASE)
_EXCEPTION: Final = re.compile(r"\b(not|no|except|without|unsupported)\b", re.IGNORECASE)
_TYPE: Final = re.compile(
    r"(?:(?:input|model|mesh|source)_)?file_(?:type|format)|(?:input|mesh)_(?:type|format)"
)
_PICTURE_ROLES: Final = ("picture", "views", "side", "style")
"""Which input the picture goes into, the first of these that the endpoint has; a required one before all."""


class SecondStep(msgspec.Struct, frozen=True, kw_only=True):
    """How one request is filled. `picture` is None where no picture of ours is sent.

    `formats`: the model formats that it takes, empty where nobody names them. `strict`: the endpoint is
    told the format by a parameter, so another one cannot be sent.
    """

    model: Input
    picture: Input | None
    formats: tuple[str, ...]
    strict: bool


def takes_model(endpoint: Endpoint) -> bool:
    """Whether a finished model can be sent to it."""
    return _model_input(endpoint) is not None


def second_step(endpoint: Endpoint, params: Params, *, own_picture: bool = False) -> SecondStep:
    """Which inputs a model and a picture go into. `own_picture`: the client sends one for this step.

    An optional picture gives way to a prompt in the parameters: an endpoint that gets both follows the
    picture. Raises InvalidParameter where the endpoint takes no model, or needs what nobody can fill.
    """
    model = _model_input(endpoint)
    if model is None:
        raise InvalidParameter(
            f"{endpoint.id} takes no 3D model. `takes_model` in GET /api/v1/models shows which ones do."
        )
    check_step_params(endpoint, params)
    picture = _picture_input(endpoint, params)
    if own_picture and picture is None:
        raise InvalidParameter(f"{endpoint.id} takes no picture beside the model. Send none.")
    if picture is not None and not picture.required and not own_picture and _has_prompt(params):
        picture = None
    missing = [
        one
        for one in endpoint.schema.inputs
        if one.required and one is not model and one is not picture and one.name not in params
    ]
    if missing:
        names = ", ".join(f"{one.name} ({one.side or one.role})" for one in missing)
        raise InvalidParameter(
            f"{endpoint.id} needs more than a model and a picture: {names}. Give the https address of each "
            "in `params`."
        )
    name, choices = _format_parameter(endpoint)
    given = str(params[name]).lower() if name in params else None
    formats = (given,) if given else choices or endpoint.row.takes or _described(model)
    return SecondStep(model=model, picture=picture, formats=formats, strict=bool(choices))


def check_step_params(endpoint: Endpoint, params: Mapping[str, object]) -> None:
    """Raises InvalidParameter where the parameters name an input that the step itself fills."""
    for name in params:
        one = endpoint.inputs.get(name)
        if one is not None and one.role == "model":
            raise InvalidParameter(
                f"`{name}` is the model of the image that this step starts from. Leave it out."
            )
        if one is not None and one.role in ("picture", "views"):
            raise InvalidParameter(f"`{name}` is a picture: send it as a file, or leave it out.")


def step_payload(
    endpoint: Endpoint, model_url: str, model_format: str, picture_url: str | None, params: Params
) -> dict[str, object]:
    """The input of FAL's endpoint. Raises InvalidParameter where it takes no such model any more."""
    step = second_step(endpoint, params)
    body: dict[str, object] = {step.model.name: [model_url] if step.model.many else model_url}
    picture = _picture_input(endpoint, params)
    if picture is not None and picture_url is not None:
        body[picture.name] = [picture_url] if picture.many else picture_url
    elif picture is not None and picture.required:
        raise InvalidParameter(f"{endpoint.id} needs a picture by now ({picture.name}). Derive it again.")
    name, choices = _format_parameter(endpoint)
    if model_format in choices:
        body[name] = in_type(endpoint.parameters.get(name), model_format)
    for param, value in params.items():
        body[param] = in_type(endpoint.parameters.get(param), value)
    return body


def _model_input(endpoint: Endpoint) -> Input | None:
    """The input that one model goes into, a required one first."""
    found = [one for one in endpoint.schema.inputs if one.role == "model" and one.min <= 1]
    return next((one for one in found if one.required), found[0] if found else None)


def _picture_input(endpoint: Endpoint, params: Params) -> Input | None:
    def rank(one: Input) -> tuple[bool, int]:
        return not one.required, _PICTURE_ROLES.index(one.role)

    found = [
        one
        for one in endpoint.schema.inputs
        if one.role in _PICTURE_ROLES
        and one.min <= 1
        and one.side in (None, "front")
        and one.name not in params
    ]
    return min(found, key=rank, default=None)


def _has_prompt(params: Params) -> bool:
    return any(
        "prompt" in name and isinstance(value, str) and value.strip() for name, value in params.items()
    )


def _format_parameter(endpoint: Endpoint) -> tuple[str, tuple[str, ...]]:
    """The parameter that names the format of the model that is sent, and its choices."""
    for name, one in endpoint.parameters.items():
        if _TYPE.fullmatch(name) and (choices := _formats_of(one)):
            return name, choices
    return "", ()


def _formats_of(parameter: Parameter) -> tuple[str, ...]:
    choices = tuple(str(one).lower() for one in parameter.enum)
    return choices if choices and all(one in FORMATS for one in choices) else ()


def _described(model: Input) -> tuple[str, ...]:
    """The formats that the input's description names, in our order."""
    if _EXCEPTION.search(model.description):
        return ()
    named = {found.lower() for found in _NAMED.findall(model.description)}
    return tuple(one for one in FORMATS if one in named)
