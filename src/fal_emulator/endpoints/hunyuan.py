"""Tencent's Hunyuan3D endpoints: version 2 and its variants, 2.1, 3, and 3.1.

The prices of 2.1, of version 2's variants and of 3.1 could not be read. The variants are billed by the
compute second here, at a price of our own, and 3.1 has none, so that both kinds can be tried; but for what
takes a model, of which others quote FAL's price of a unit. How many units a run is, nobody says.
"""

from fal_emulator.endpoints.fields import (
    MAYBE_MODEL,
    MODEL,
    PREVIEW,
    SEED,
    at_most,
    choice,
    flag,
    given,
    integer,
    model_urls,
    number,
    side,
    text,
    url,
)
from fal_emulator.endpoints.row import Endpoint, Field, Output

_SECOND = 0.00125
"""USD for a compute second. Made up."""
_UNIT = 0.015
"""USD for a unit of 3.1."""

_V2 = {
    "num_inference_steps": integer(50, 1, 50),
    "guidance_scale": number(7.5, 0, 20),
    "octree_resolution": integer(256, 1, 1024),
    "textured_mesh": flag(),
    "seed": integer(),
}
_USED_SEED = Output(content="seed", required=True, description="The seed that was used.")
_TAGS = ("image-to-3d", "hunyuan")
_PICTURE = {"input_image_url": url()}
# FAL's document of 3.1 says it of one picture, in words; Tencent's own documentation of all pictures.
_SIZE = at_most(5000, 8 << 20, said=True)
_FRONT = {
    "input_image_url": url(
        text="URL of the picture of the front: at most 5000px a side, max 8MB, as JPG, PNG or WEBP.",
        picture=_SIZE,
    )
}
_V2_SIDES = {f"{name}_image_url": side(name, required=True) for name in ("front", "back", "left")}
_V3_URLS = model_urls("obj")


def _v2(suffix: str, title: str, pictures: dict[str, Field], price: float, unit: str) -> Endpoint:
    return Endpoint(
        id=f"fal-ai/hunyuan3d/v2{suffix}",
        title=title,
        description="Makes textured 3D models of pictures.",
        tags=("stylized",),
        license="research",
        fields={**pictures, **_V2},
        outputs={"model_mesh": MODEL, "seed": _USED_SEED},
        price=price,
        unit=unit,
    )


_VERSION_2 = (
    _v2("", "Hunyuan3D 2", _PICTURE, 0.16, "generations"),
    _v2("/turbo", "Hunyuan3D 2 Turbo", _PICTURE, _SECOND, "compute seconds"),
    _v2("/mini", "Hunyuan3D 2 Mini", _PICTURE, _SECOND, "compute seconds"),
    _v2("/mini/turbo", "Hunyuan3D 2 Mini Turbo", _PICTURE, _SECOND, "compute seconds"),
    _v2("/multi-view", "Hunyuan3D 2 Multi-view", _V2_SIDES, _SECOND, "compute seconds"),
    _v2("/multi-view/turbo", "Hunyuan3D 2 Multi-view Turbo", _V2_SIDES, _SECOND, "compute seconds"),
    Endpoint(
        id="fal-ai/hunyuan3d-v21",
        title="Hunyuan3D 2.1",
        description="Makes 3D models with materials for physically based rendering.",
        tags=("stylized",),
        license="research",
        fields={**_PICTURE, **_V2},
        outputs={
            "model_glb": MODEL,
            "model_glb_pbr": given("glb", "The model with its materials.", textured_mesh=True),
            "model_mesh": Output(
                content="archive", required=True, description="The mesh and its files as a ZIP."
            ),
            "seed": _USED_SEED,
        },
        price=_SECOND,
        unit="compute seconds",
    ),
)

_V3_SIDES = {f"{name}_image_url": side(name, picture=_SIZE) for name in ("back", "left", "right")}
_V3_OUTPUTS = {"model_glb": MODEL, "model_urls": _V3_URLS, "thumbnail": PREVIEW, "seed": SEED}

_VERSION_3 = (
    Endpoint(
        id="fal-ai/hunyuan3d-v3/image-to-3d",
        title="Hunyuan3D V3",
        description="Makes 3D models of ultra-high resolution of pictures.",
        fields={
            **_FRONT,
            **_V3_SIDES,
            "enable_pbr": flag(),
            "face_count": integer(500000, 1),
            "generate_type": choice("Normal", "Normal", "LowPoly", "Geometry", text="What is made."),
            "polygon_type": choice("triangle", "triangle", "quadrilateral", text="For LowPoly: the faces."),
        },
        outputs=_V3_OUTPUTS,
        price=0.375,
        limit="face_count",
        license="commercial",
        tags=_TAGS,
    ),
    Endpoint(
        id="fal-ai/hunyuan3d-v3/sketch-to-3d",
        title="Hunyuan3D V3 Sketch",
        description="Makes a 3D model of a sketch and words.",
        fields={
            **_FRONT,
            "prompt": text(required=True),
            "enable_pbr": flag(),
            "face_count": integer(500000, 1),
        },
        outputs=_V3_OUTPUTS,
        limit="face_count",
        license="commercial",
        tags=_TAGS,
    ),
)

_V31_SIDES = {
    f"{name}_image_url": side(name.replace("_", " "), picture=_SIZE)
    for name in ("back", "left", "right", "top", "bottom", "left_front", "right_front")
}

_VERSION_31 = (
    Endpoint(
        id="fal-ai/hunyuan-3d/v3.1/pro/image-to-3d",
        title="Hunyuan 3D Pro",
        description="Makes 3D models of one picture or of several sides.",
        fields={
            **_FRONT,
            **_V31_SIDES,
            "enable_pbr": flag(),
            "face_count": integer(500000, 1),
            "generate_type": choice("Normal", "Normal", "Geometry", text="What is made."),
        },
        outputs={
            "model_glb": MODEL,
            "model_urls": model_urls("obj", "usdz"),
            "thumbnail": PREVIEW,
            "seed": SEED,
        },
        limit="face_count",
        license="commercial",
        tags=_TAGS,
    ),
    Endpoint(
        id="fal-ai/hunyuan-3d/v3.1/rapid/image-to-3d",
        title="Hunyuan 3D Rapid",
        description="Makes 3D models of pictures, fast.",
        fields={**_FRONT, "enable_geometry": flag(text="Makes no texture."), "enable_pbr": flag()},
        outputs={
            "model_glb": MAYBE_MODEL,
            "material_mtl": Output(
                content="mtl", when={"enable_geometry": False}, description="OBJ's materials."
            ),
            "texture": given("texture", "OBJ's texture.", enable_geometry=False),
            "thumbnail": PREVIEW,
            "model_urls": model_urls("obj", "mtl", "texture"),
        },
        license="commercial",
        tags=_TAGS,
    ),
    Endpoint(
        id="fal-ai/hunyuan-3d/v3.1/smart-topology",
        title="Hunyuan 3D Smart Topology",
        category="3d-to-3d",
        description="Makes the topology of a mesh better.",
        fields={
            "input_file_url": url(
                "model",
                "URL of a GLB or an OBJ.",
                required=False,
                formats=("glb", "obj"),
                default="https://v3b.fal.media/files/b/0a8c09c0/VYDiCTcDGK55qY2-idGbX_model.glb",
            ),
            "input_file_type": choice("glb", "glb", "obj", text="Format of the file."),
            "face_level": choice("medium", "high", "medium", "low", text="How dense the mesh becomes."),
            "polygon_type": choice("triangle", "triangle", "quadrilateral", text="What the faces become."),
        },
        outputs={"model_glb": MODEL, "model_urls": _V3_URLS},
        price=_UNIT,
        unit="units",
        license="commercial",
        tags=_TAGS,
    ),
    Endpoint(
        id="fal-ai/hunyuan-3d/v3.1/part",
        title="Hunyuan 3D Part",
        category="3d-to-3d",
        description="Splits an FBX model into its parts.",
        fields={
            "input_file_url": url("model", "URL of an FBX, the only format that is taken.", formats=("fbx",))
        },
        outputs={
            "result_files": Output(content="models", required=True, description="One file for each part.")
        },
        model_format="fbx",
        price=_UNIT,
        unit="units",
        license="commercial",
        tags=_TAGS,
    ),
    # Its page as others quote it, the price too.
    Endpoint(
        id="fal-ai/hunyuan-part",
        title="Hunyuan Part",
        category="3d-to-3d",
        description="Finds the parts of a mesh.",
        license="research",
        fields={
            "model_file_url": url("model", "URL of a GLB or an OBJ.", formats=("glb", "obj")),
            "point_prompt_x": number(0, -1, 1),
            "point_prompt_y": number(0, -1, 1),
            "point_prompt_z": number(0, -1, 1),
            "point_num": integer(100000, 1),
            "noise_std": number(0, 0),
            "use_normal": flag(default=True),
            "seed": integer(),
        },
        outputs={
            "segmented_mesh": MODEL,
            **{f"mask_{at}_mesh": given("glb", "The model with one mask.") for at in (1, 2, 3)},
            "iou_scores": given("scores", "How good each mask is."),
            "best_mask_index": given("index", "Which mask is the best, from 1."),
            "seed": SEED,
        },
        price=0.04,
    ),
)

# The row's picture could not be read beyond its name: the bounds are ours.
_OMNIPART = Endpoint(
    id="fal-ai/omnipart",
    title="OmniPart",
    description="Makes a model whose parts are meshes of their own.",
    license="research",
    fields={
        "input_image_url": url(),
        "parts": text("", what="Which segments to join, as lists of their numbers."),
        "minimum_segment_size": integer(2000, 1, text="Smaller segments are dropped."),
        "guidance_scale": number(7.5, 0, 20),
        "seed": integer(765464),
    },
    outputs={
        "full_model_mesh": MODEL,
        "model_mesh": Output(content="glb", required=True, description="The parts, apart from each other."),
        "output_zip": Output(content="archive", required=True, description="All files."),
        "seed": _USED_SEED,
    },
    price=_SECOND,
    unit="compute seconds",
)

_ULTRASHAPE = Endpoint(
    id="fal-ai/ultrashape",
    title="Ultrashape",
    category="3d-to-3d",
    description="Refines the geometry of a coarse mesh with the picture of it.",
    license="commercial",
    fields={
        "image_url": url(),
        "model_url": url("model", "URL of the coarse mesh, a GLB or an OBJ.", formats=("glb", "obj")),
        "num_inference_steps": integer(50, 1, 50),
        "octree_resolution": integer(1024, 128, 1024),
        "seed": integer(42),
        "remove_background": flag(default=True),
    },
    outputs={"model_glb": MODEL},
    price=0.15,
)

ROWS = (*_VERSION_2, *_VERSION_3, *_VERSION_31, _OMNIPART, _ULTRASHAPE)
