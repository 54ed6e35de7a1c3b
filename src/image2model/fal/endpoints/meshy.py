"""Meshy v6 at FAL."""

from image2model.fal.endpoints.endpoint import GLB_OUTPUTS, Endpoint, flat, variants
from image2model.fal.endpoints.parameter import Parameters, boolean, choice, integer
from image2model.money import to_micro

_V6: Parameters = {
    "topology": choice(
        "quad for smooth surfaces, triangle for detail.", "quad", "triangle", default="triangle"
    ),
    "target_polycount": integer("Target number of polygons.", 100, 300_000, default=30_000),
    "should_remesh": boolean("Run the remesh phase.", default=True),
    "should_texture": boolean("Make textures.", default=True),
    "enable_pbr": boolean("Metallic, roughness and normal maps besides the colour.", default=False),
    "symmetry_mode": choice("Symmetry of the model.", "off", "auto", "on", default="auto"),
}

MESHY_V6 = Endpoint(
    id="fal-ai/meshy/v6/image-to-3d",
    title="Meshy v6",
    parameters=_V6,
    outputs={**GLB_OUTPUTS, "preview": ("thumbnail",), **variants("fbx", "obj", "usdz", "stl", "blend")},
    price=flat(to_micro("0.80")),
    price_note="$0.80 a model",
    face_limit_param="target_polycount",
)
