"""Meshy's endpoints: pictures to models with rigging and animation, and new textures for a model."""

from fal_emulator.endpoints.fields import (
    MODEL,
    PREVIEW,
    SEED,
    choice,
    flag,
    given,
    integer,
    model_urls,
    number,
    text,
    url,
    urls,
)
from fal_emulator.endpoints.row import Endpoint, Field, Output

_FIELDS = {
    "topology": choice("triangle", "quad", "triangle"),
    "target_polycount": integer(30000, 100, 300000),
    "symmetry_mode": choice("auto", "off", "auto", "on", text="Whether the model is symmetric."),
    "should_remesh": flag(default=True, text="Remeshes the model."),
    "should_texture": flag(default=True, text="Makes textures."),
    "enable_pbr": flag(),
    "pose_mode": choice("", "a-pose", "t-pose", "", text="The pose of a character."),
    "texture_prompt": text(),
    "texture_image_url": url("style", required=False),
    "enable_rigging": flag(),
    "rigging_height_meters": number(1.7, text="The character's height."),
    "enable_animation": flag(),
    "animation_action_id": integer(1001, text="Which animation of Meshy's library."),
    "enable_safety_checker": flag(default=True),
}
_TEXTURES = Output(content="texture_files", when={"should_texture": True}, description="Textures by channel.")
_RIGGED = {"enable_rigging": True}
_ANIMATED = {"enable_rigging": True, "enable_animation": True}
_URLS = model_urls("fbx", "obj", "usdz", "stl", "blend")
_OUTPUTS = {
    "model_glb": MODEL,
    "thumbnail": PREVIEW,
    "model_urls": _URLS,
    "texture_urls": _TEXTURES,
    "rig_task_id": given("task", "The rigging's task.", **_RIGGED),
    "rigged_character_glb": given("glb", "The rigged character.", **_RIGGED),
    "rigged_character_fbx": given("fbx", "The rigged character.", **_RIGGED),
    "basic_animations": given("animations", "Walking and running.", **_RIGGED),
    "animation_glb": given("animated", "The animated character.", **_ANIMATED),
    "animation_fbx": given("fbx", "The animated character.", **_ANIMATED),
    "seed": SEED,
}


def _model(version: str, kind: str, title: str, picture: dict[str, Field], price: float | None) -> Endpoint:
    return Endpoint(
        id=f"fal-ai/meshy/{version}/{kind}",
        title=title,
        description="Meshy makes realistic models, ready for production.",
        tags=("image-to-3d",),
        license="commercial",
        fields={**picture, **_FIELDS},
        outputs=_OUTPUTS,
        price=price,
        limit="target_polycount",
    )


_FORMATS = ("glb", "gltf", "obj", "fbx", "stl")
_TAKEN = "GLB, GLTF, OBJ, FBX or STL"

# The pages: more than four pictures are taken, and only the first four are used.
_VIEWS = {"image_urls": urls(text="1 to 4 pictures of the same object. AVIF and HEIF are converted.")}

ROWS = (
    _model("v6", "image-to-3d", "Meshy 6", {"image_url": url()}, 0.80),
    # Its price could not be read.
    _model("v5", "multi-image-to-3d", "Meshy 5 Multi", _VIEWS, None),
    _model("v6-preview", "multi-image-to-3d", "Meshy 6 Preview", _VIEWS, 3.00),
    Endpoint(
        id="fal-ai/meshy/v5/retexture",
        title="Meshy 5 Retexture",
        category="3d-to-3d",
        description="Makes new textures for a model.",
        tags=("3d-to-3d",),
        license="commercial",
        fields={
            "model_url": url("model", f"URL of the model: {_TAKEN}.", formats=_FORMATS),
            "text_style_prompt": text(what="The style in words. Needed without image_style_url.", most=600),
            "image_style_url": url("style", "URL of a picture of the style.", required=False),
            "enable_original_uv": flag(default=True, text="Keeps the model's own UV map."),
            "enable_pbr": flag(),
            "enable_safety_checker": flag(default=True),
        },
        outputs={
            "model_glb": MODEL,
            "model_urls": _URLS,
            "thumbnail": PREVIEW,
            "texture_urls": Output(content="texture_files", description="Textures by channel."),
            "text_style_prompt": Output(content="echo", description="As it was given."),
            "image_style_url": Output(content="echo", description="As it was given."),
        },
        price=0.30,
        one_of=("text_style_prompt", "image_style_url"),
    ),
    Endpoint(
        id="fal-ai/meshy/v5/remesh",
        title="Meshy 5 Remesh",
        category="3d-to-3d",
        description="Remeshes a model, and exports it in several formats.",
        tags=("3d-to-3d",),
        license="commercial",
        fields={
            "model_url": url("model", f"URL of the model: {_TAKEN}.", formats=_FORMATS),
            "target_formats": Field(
                kind="array",
                default=["glb"],
                items=choice(None, "glb", "fbx", "obj", "usdz", "blend", "stl"),
                description="The formats of the result.",
            ),
            "topology": choice("triangle", "quad", "triangle"),
            "target_polycount": integer(30000, 100, 300000),
            "resize_height": number(0, 0, None, "Height of the result in metres, 0: as it is."),
            "origin_at": choice(None, "bottom", "center", text="Where the origin is."),
        },
        outputs={
            "model_glb": Output(content="model", when={"target_formats": "glb"}, description="As GLB."),
            "model_urls": _URLS,
        },
        price=0.20,
        limit="target_polycount",
    ),
)
