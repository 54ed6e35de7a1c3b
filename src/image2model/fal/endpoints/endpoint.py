"""One image-to-3D endpoint of FAL: its input, its parameters, its output and its price.

Who calls it: the rows of the table make these; the service, the worker and the gateway read them. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from image2model.fal.endpoints.parameter import Parameters, Scalar

Params = Mapping[str, Scalar]
Outputs = Mapping[str, tuple[str, ...]]
Price = Callable[[Params], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A row of the table.

    `outputs` maps a file kind to the fields of FAL's output that may hold it, the first present one wins;
    a dot goes into an object. `price` gives micro-dollars for normalised parameters, or None where the
    price is known only after the run; `price_note` says it to people. Where there is no price, `unit_micro`
    is what a run is taken to cost: FAL's listed price of one unit.
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
        """The parameters as a JSON Schema object that admits no other names."""
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
