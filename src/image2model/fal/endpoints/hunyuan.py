"""Hunyuan3D's endpoints at FAL: v2 and v3."""

from image2model.fal.endpoints.endpoint import GLB_OUTPUTS, MESH_OUTPUTS, Endpoint, Params, flat, variants
from image2model.fal.endpoints.parameter import SEED, Parameters, boolean, choice, integer, number
from image2model.money import to_micro

_V2: Parameters = {
    "num_inference_steps": integer("Inference steps.", 1, default=50),
    "guidance_scale": number("Guidance.", 0, default=7.5),
    "octree_resolution": integer("Resolution of the octree.", 1, default=256),
    "textured_mesh": boolean("Make textures, for three times the price.", default=False),
    "seed": SEED,
}

_V3: Parameters = {
    "face_count": integer("Target number of faces.", 40_000, 1_500_000, default=500_000),
    "generate_type": choice(
        "Normal: textured; LowPoly: fewer polygons; Geometry: untextured.",
        "Normal",
        "LowPoly",
        "Geometry",
        default="Normal",
    ),
    "enable_pbr": boolean("Physically based materials; not with Geometry.", default=False),
}

_WHITE = to_micro("0.16")


def _v2_price(params: Params) -> int:
    return _WHITE * (3 if HUNYUAN_V2.setting(params, "textured_mesh") else 1)


HUNYUAN_V2 = Endpoint(
    id="fal-ai/hunyuan3d/v2",
    title="Hunyuan3D v2",
    parameters=_V2,
    outputs=MESH_OUTPUTS,
    price=_v2_price,
    price_note="$0.16 untextured, $0.48 textured",
    input_field="input_image_url",
)

HUNYUAN_V3 = Endpoint(
    id="fal-ai/hunyuan3d-v3/image-to-3d",
    title="Hunyuan3D v3",
    parameters=_V3,
    outputs={**GLB_OUTPUTS, "preview": ("thumbnail",), **variants("fbx", "obj", "usdz")},
    price=flat(to_micro("0.375")),
    price_note="$0.375 a model",
    input_field="input_image_url",
    face_limit_param="face_count",
)
