"""A client's parameters, checked against an endpoint and made canonical; and FAL's input made of them.

Who calls it: the service when a batch arrives, the worker before a submit. Pure.
"""

from collections.abc import Mapping

from image2model.errors import InvalidParameter
from image2model.fal.endpoints.endpoint import Endpoint, Params
from image2model.fal.endpoints.parameter import Scalar


def normalise(
    endpoint: Endpoint, params: Mapping[str, object], face_limit: int | None = None
) -> dict[str, Scalar]:
    """The parameters with sorted keys and canonical values; FAL's defaults are not filled in.

    `face_limit` becomes the model's own parameter. Raises InvalidParameter naming every fault at once.
    """
    accepted: dict[str, Scalar] = {}
    faults: list[str] = []
    for name, value in params.items():
        _take(endpoint, name, value, accepted, faults)
    if face_limit is not None:
        _take_face_limit(endpoint, face_limit, accepted, faults)
    if faults:
        raise InvalidParameter("; ".join(faults))
    return dict(sorted(accepted.items()))


def payload(endpoint: Endpoint, image_url: str, params: Params) -> dict[str, object]:
    """The input of FAL's endpoint: the picture's URL under the model's own name, and the parameters."""
    picture: object = [image_url] if endpoint.input_is_list else image_url
    return {endpoint.input_field: picture, **params}


def _take(
    endpoint: Endpoint, name: str, value: object, accepted: dict[str, Scalar], faults: list[str]
) -> None:
    parameter = endpoint.parameters.get(name)
    if parameter is None:
        on_offer = ", ".join(sorted(endpoint.parameters))
        faults.append(f"{name[:64]!r} is no parameter of {endpoint.id}, which has: {on_offer}")
        return
    try:
        accepted[name] = parameter.accept(value)
    except ValueError as fault:
        faults.append(f"{name} {fault}")


def _take_face_limit(
    endpoint: Endpoint, face_limit: int, accepted: dict[str, Scalar], faults: list[str]
) -> None:
    own = endpoint.face_limit_param
    if own is None:
        faults.append(f"face_limit has no counterpart in {endpoint.id}: leave it out")
        return
    try:
        value = endpoint.parameters[own].accept(face_limit)
    except ValueError as fault:
        faults.append(f"face_limit {fault}")
        return
    if accepted.setdefault(own, value) != value:
        faults.append(f"face_limit and params.{own} differ: give one of them")
