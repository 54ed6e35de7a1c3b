"""Hyper3D's Rodin endpoints. The price of version 2 could not be read, nor the end of 2.5's fields."""

from fal_emulator.endpoints.fields import (
    MODEL,
    TEXTURES,
    array,
    choice,
    flag,
    integer,
    text,
    urls,
)
from fal_emulator.endpoints.row import Endpoint, Field, Output

_FORMATS = ("glb", "usdz", "fbx", "obj", "stl")
_QUALITY = (
    *("4K Quad", "8K Quad", "18K Quad", "50K Quad"),
    *("2K Triangle", "20K Triangle", "150K Triangle", "500K Triangle"),
)
_BOX = array(Field(kind="number"), "Size of the box around the model: width, height, length.", low=3, high=3)
_OUTPUTS = {
    "model_mesh": MODEL,
    "seed": Output(content="seed", required=True, description="The seed that was used."),
    "textures": TEXTURES,
}
_SEED = integer(None, 0, 65535)
_PICTURES = urls(required=False, high=5, text="URLs of up to 5 pictures of the object.")


def _rodin(
    suffix: str, title: str, fields: dict[str, Field], price: float | None, license_type: str = "commercial"
) -> Endpoint:
    return Endpoint(
        id=f"fal-ai/hyper3d/rodin{suffix}",
        title=title,
        description="Rodin makes realistic models of pictures or words, ready for production.",
        tags=("stylized",),
        license=license_type,
        fields=fields,
        outputs=_OUTPUTS,
        price=price,
        format_by="geometry_file_format",
    )


def _v25(tiers: tuple[str, ...], default: str) -> dict[str, Field]:
    return {
        "image_urls": _PICTURES,
        "prompt": text(""),
        "tier": choice(default, *tiers, text="How detailed the mesh is."),
        "seed": _SEED,
        "geometry_file_format": choice("glb", *_FORMATS),
        "material": choice("All", "PBR", "Shaded", "All", text="Kind of the material."),
        "quality_mesh_option": choice("500K Triangle", *_QUALITY, text="Faces of the mesh."),
        "use_original_alpha": flag(text="Keeps the picture's own transparency."),
        "addons": array(Field(choices=("HighPack",)), "Paid extras."),
        "bbox_condition": _BOX,
        "TAPose": flag(text="Puts a character into T or A pose."),
        "preview_render": flag(text="Renders a preview."),
    }


_GEN = "Gen-2.5"

ROWS = (
    _rodin(
        "",
        "Hyper3D Rodin",
        {
            "input_image_urls": _PICTURES,
            "prompt": text(""),
            "condition_mode": choice("concat", "fuse", "concat", text="What several pictures are."),
            "seed": _SEED,
            "geometry_file_format": choice("glb", *_FORMATS),
            "material": choice("PBR", "PBR", "Shaded", text="Kind of the material."),
            "quality": choice("medium", "high", "medium", "low", "extra-low", text="Of the mesh."),
            "use_hyper": flag(text="Exports finer geometry."),
            "tier": choice("Regular", "Regular", "Sketch", text="How much work is done."),
            "TAPose": flag(text="Puts a character into T or A pose."),
            "bbox_condition": _BOX,
            "addons": choice(None, "HighPack", text="A paid extra."),
        },
        0.40,
    ),
    _rodin(
        "/v2",
        "Hyper3D Rodin 2",
        {
            "input_image_urls": _PICTURES,
            "prompt": text(""),
            "use_original_alpha": flag(text="Keeps the picture's own transparency."),
            "seed": _SEED,
            "geometry_file_format": choice("glb", *_FORMATS),
            "material": choice("All", "PBR", "Shaded", "All", text="Kind of the material."),
            "quality_mesh_option": choice("500K Triangle", *_QUALITY, text="Faces of the mesh."),
            "TAPose": flag(text="Puts a character into T or A pose."),
            "bbox_condition": _BOX,
            "addons": choice(None, "HighPack", text="A paid extra."),
            "preview_render": flag(text="Renders a preview."),
        },
        None,
    ),
    _rodin(
        "/v2.5",
        "Hyper3D Rodin 2.5",
        _v25(tuple(f"{_GEN}-{tier}" for tier in ("Low", "Medium", "High", "Extreme-High")), f"{_GEN}-Medium"),
        0.40,
    ),
    _rodin(
        "/v2.5/fast",
        "Hyper3D Rodin 2.5 Fast",
        _v25(tuple(f"{_GEN}-{tier}" for tier in ("Minimum", "Extreme-Low", "Low")), f"{_GEN}-Extreme-Low"),
        0.40,
    ),
)
