"""TripoSR at FAL."""

from image2model.fal.endpoints.endpoint import MESH_OUTPUTS, Endpoint, flat
from image2model.fal.endpoints.parameter import Parameters, boolean, choice, integer, number
from image2model.money import to_micro

_PARAMETERS: Parameters = {
    "output_format": choice("Format of the file.", "glb", "obj", default="glb"),
    "do_remove_background": boolean("Remove the picture's background.", default=True),
    "foreground_ratio": number("Share of the picture that the object fills.", 0.5, 1, default=0.9),
    "mc_resolution": integer("Resolution of the marching cubes.", 32, 1024, default=256),
}

TRIPOSR = Endpoint(
    id="fal-ai/triposr",
    title="TripoSR",
    parameters=_PARAMETERS,
    outputs=MESH_OUTPUTS,
    price=flat(to_micro("0.07")),
    price_note="$0.07 a model",
)
