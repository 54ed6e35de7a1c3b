"""Tripo's endpoints at FAL: v2.5, the default, and H3.1."""

from image2model.fal.endpoints.endpoint import MESH_OUTPUTS, Endpoint, Outputs, Params, variants
from image2model.fal.endpoints.parameter import Parameters, boolean, choice, integer
from image2model.money import to_micro

_SHARED: Parameters = {
    "face_limit": integer("Most faces of the mesh; without it the model decides.", 1),
    "auto_size": boolean("Scale the model to real-world metres.", default=False),
    "quad": boolean("Quads instead of triangles; the file is then an FBX, not a GLB.", default=False),
    "texture_alignment": choice(
        "What textures are aligned to.", "original_image", "geometry", default="original_image"
    ),
    "orientation": choice(
        "align_image turns the model to match the picture.", "default", "align_image", default="default"
    ),
    "texture_seed": integer("Seed of the texture."),
}

_V25: Parameters = {
    "texture": choice("Texture quality.", "no", "standard", "HD", default="standard"),
    "pbr": boolean("Physically based materials."),
    "seed": integer("Seed of the geometry."),
    **_SHARED,
}

_H31: Parameters = {
    "texture": boolean("Make textures.", default=True),
    "pbr": boolean("Physically based materials; turns textures on.", default=True),
    "texture_quality": choice("Texture quality.", "standard", "detailed", default="standard"),
    "geometry_quality": choice("Geometry quality.", "standard", "detailed", default="standard"),
    "model_seed": integer("Seed of the geometry."),
    **_SHARED,
}

_OUTPUTS: Outputs = {
    **MESH_OUTPUTS,
    "preview": ("rendered_image",),
    "base": ("base_model",),
    "pbr": ("pbr_model",),
}


def _v25_price(params: Params) -> int:
    by_texture = {"no": "0.20", "standard": "0.30", "HD": "0.40"}
    base = to_micro(by_texture[str(TRIPO_V25.setting(params, "texture"))])
    return base + (to_micro("0.05") if TRIPO_V25.setting(params, "quad") else 0)


def _h31_price(params: Params) -> int:
    texture = "0.20"
    if TRIPO_H31.setting(params, "texture") or TRIPO_H31.setting(params, "pbr"):
        detailed = TRIPO_H31.setting(params, "texture_quality") == "detailed"
        texture = "0.40" if detailed else "0.30"
    fine = TRIPO_H31.setting(params, "geometry_quality") == "detailed"
    return to_micro(texture) + (to_micro("0.20") if fine else 0)


TRIPO_V25 = Endpoint(
    id="tripo3d/tripo/v2.5/image-to-3d",
    title="Tripo v2.5",
    parameters=_V25,
    outputs=_OUTPUTS,
    price=_v25_price,
    price_note="$0.20 untextured, $0.30 with standard texture, $0.40 with HD texture; quad adds $0.05",
    face_limit_param="face_limit",
)

TRIPO_H31 = Endpoint(
    id="tripo3d/h3.1/image-to-3d",
    title="Tripo H3.1",
    parameters=_H31,
    outputs={**_OUTPUTS, **variants("glb", "fbx", "obj", "usdz")},
    price=_h31_price,
    price_note="$0.20 untextured, $0.30 with standard texture, $0.40 with detailed texture; "
    "detailed geometry adds $0.20",
    face_limit_param="face_limit",
)
