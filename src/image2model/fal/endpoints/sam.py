"""SAM 3D Objects at FAL."""

from image2model.fal.endpoints.endpoint import Endpoint, Params
from image2model.fal.endpoints.parameter import SEED, Parameter, Parameters, boolean
from image2model.money import to_micro

_PARAMETERS: Parameters = {
    "prompt": Parameter(type="string", description="What to cut out of the picture, such as 'chair'."),
    "export_textured_glb": boolean("A baked texture instead of vertex colours.", default=False),
    "seed": SEED,
}


def _unknown(_params: Params) -> None:
    return None


SAM_3_OBJECTS = Endpoint(
    id="fal-ai/sam-3/3d-objects",
    title="SAM 3D Objects",
    parameters=_PARAMETERS,
    outputs={"model": ("model_glb",), "splat": ("gaussian_splat",)},
    price=_unknown,
    unit_micro=to_micro("0.02"),
    price_note="$0.02 a unit; the number of units is known after the run",
)
