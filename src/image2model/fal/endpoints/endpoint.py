"""One image-to-3D endpoint of FAL: its input, its parameters, its output and its price.

Pure: no I/O.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from image2model.errors import InvalidParameter
from image2model.fal.endpoints.parameter import Parameters, Scalar

Params = Mapping[str, Scalar]
Outputs = Mapping[str, tuple[str, ...]]
Price = Callable[[Params], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A row of the table.

    `outputs` maps a file kind to the fields of FAL's output that may hold it: the first present field wins,
    and a dot enters an object. `price` returns micro-dollars for normalised parameters, or None where the
    price is known only after the run; `price_note` is the price in words. Where there is no price, a run is
    assumed to cost `unit_micro`: FAL's listed price of one unit.
    """

    id: str
    title: str
    parameters: Parameters = field(repr=False)
    outputs: Outputs = field(repr=False)
    price: Price = field(repr=False)
    price_note: str
    input_field: str = "image_url"
    input_is_list: bool = False
    face_limit_param: str | None = None
    unit_micro: int = 0

    @property
    def params_schema(self) -> dict[str, object]:
        """The parameters as a JSON Schema object that allows no other names."""
        return {
            "type": "object",
            "properties": {name: parameter.schema() for name, parameter in self.parameters.items()},
            "additionalProperties": False,
        }

    def reservation(self, params: Params) -> int:
        """Micro-dollars to set aside for one image; see `unit_micro` where there is no price."""
        price = self.price(params)
        return self.unit_micro if price is None else price

    def setting(self, params: Params, name: str) -> Scalar | None:
        """The value that a run would use: the parameter's, else FAL's default."""
        return params.get(name, self.parameters[name].default)


MESH_OUTPUTS: Outputs = {"model": ("pbr_model", "model_mesh", "base_model")}
GLB_OUTPUTS: Outputs = {"model": ("model_glb", "model_urls.glb")}


def variants(*formats: str) -> Outputs:
    """The kinds of an output's `model_urls`, each named by its format."""
    return {name: (f"model_urls.{name}",) for name in formats}


def flat(micro: int) -> Price:
    """One price, whatever the parameters."""
    return lambda _params: micro


def normalise(
    endpoint: Endpoint, params: Mapping[str, object], face_limit: int | None = None
) -> dict[str, Scalar]:
    """The parameters with sorted keys and canonical values; FAL's defaults are not filled in.

    `face_limit` becomes the model's own parameter. Raises InvalidParameter, which names every fault at once.
    """
    accepted: dict[str, Scalar] = {}
    faults: list[str] = []
    for name, value in params.items():
        _accept(endpoint, name, value, accepted, faults)
    if face_limit is not None:
        _accept_face_limit(endpoint, face_limit, accepted, faults)
    if faults:
        raise InvalidParameter("; ".join(faults))
    return dict(sorted(accepted.items()))


def payload(endpoint: Endpoint, image_url: str, params: Params) -> dict[str, object]:
    """The input of FAL's endpoint: the picture's URL under the model's own name, and the parameters."""
    picture: object = [image_url] if endpoint.input_is_list else image_url
    return {endpoint.input_field: picture, **params}


def _accept(
    endpoint: Endpoint, name: str, value: object, accepted: dict[str, Scalar], faults: list[str]
) -> None:
    parameter = endpoint.parameters.get(name)
    if parameter is None:
        on_offer = ", ".join(sorted(endpoint.parameters))
        faults.append(f"{name[:64]!r} is not a parameter of {endpoint.id}, which has: {on_offer}")
        return
    try:
        accepted[name] = parameter.accept(value)
    except ValueError as fault:
        faults.append(f"{name} {fault}")


def _accept_face_limit(
    endpoint: Endpoint, face_limit: int, accepted: dict[str, Scalar], faults: list[str]
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
