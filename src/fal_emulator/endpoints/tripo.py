"""Tripo's endpoints. p2 is named by a public connector alone; its schema and price are not verified."""

from fal_emulator.endpoints.fields import (
    MAYBE_MODEL,
    MODEL,
    PREVIEW,
    TASK,
    at_most,
    choice,
    flag,
    given,
    integer,
    model_urls,
    number,
    side,
    url,
    urls,
)
from fal_emulator.endpoints.row import Endpoint, Field, Output

# Tripo's own documentation: each side of at most 6,000 pixels, 20 MB. FAL's documents do not say it. Which
# apps say theirs in the extension of newer ones could not be read: here p2 does, so that both can be tried.
_SIZE = at_most(6000, 20 << 20, said=True)
_SHOWN = at_most(6000, 20 << 20)
_V25 = {
    "texture": choice("standard", "no", "standard", "HD"),
    "pbr": flag(),
    "face_limit": integer(low=1),
    "auto_size": flag(),
    "quad": flag(),
    "texture_alignment": choice("original_image", "original_image", "geometry"),
    "orientation": choice("default", "default", "align_image"),
    "seed": integer(),
    "texture_seed": integer(),
}
_V25_OUTPUTS = {
    "task_id": TASK,
    "model_mesh": MAYBE_MODEL,
    "base_model": given("glb", "The model without a texture.", texture="no"),
    "pbr_model": given("model", "The model with maps for physically based rendering.", pbr=True),
    "rendered_image": PREVIEW,
}
_H31 = {
    "face_limit": integer(low=1),
    "texture": flag(default=True),
    "pbr": flag(default=True),
    "texture_quality": choice("standard", "standard", "detailed"),
    "geometry_quality": choice("standard", "standard", "detailed"),
    "auto_size": flag(),
    "quad": flag(),
}
_P1 = {
    "face_limit": integer(low=48, high=20000),
    "texture": flag(default=True),
    "model_seed": integer(),
}
_WITH_URLS = {"model_mesh": MODEL, "model_urls": model_urls(), "rendered_image": PREVIEW}


def _v25(kind: str, title: str, sides: dict[str, Field]) -> Endpoint:
    return Endpoint(
        id=f"tripo3d/tripo/v2.5/{kind}",
        title=title,
        description="Tripo makes detailed 3D models of pictures.",
        tags=("stylized",),
        license="commercial",
        fields={**sides, **_V25},
        outputs=_V25_OUTPUTS,
        price=0.30,
        limit="face_limit",
        quads="quad",
    )


def _h31(kind: str, title: str, picture: dict[str, Field]) -> Endpoint:
    return Endpoint(
        id=f"tripo3d/h3.1/{kind}",
        title=title,
        description="Tripo H3.1 makes detailed 3D models of pictures.",
        tags=("3d", "tripo"),
        license="commercial",
        fields={**picture, **_H31},
        outputs=_WITH_URLS,
        price=0.30,
        limit="face_limit",
        quads="quad",
    )


def _p(version: str, kind: str, title: str, picture: dict[str, Field]) -> Endpoint:
    return Endpoint(
        id=f"tripo3d/{version}/{kind}",
        title=title,
        description="Tripo's model for low numbers of polygons.",
        tags=("3d", "tripo"),
        license="commercial",
        fields={**picture, **_P1},
        outputs=_WITH_URLS,
        price=0.01,
        unit="credits",
        limit="face_limit",
    )


_FOUR_SIDES = {
    "front_image_url": side("front", required=True, picture=_SIZE),
    "left_image_url": side("left", picture=_SIZE),
    "back_image_url": side("back", picture=_SIZE),
    "right_image_url": side("right", picture=_SIZE),
}
_VIEWS = {"image_urls": urls(low=2, high=4)}

ROWS = (
    _v25("image-to-3d", "Tripo3D", {"image_url": url(picture=_SIZE)}),
    # Its price is not on a page that could be read: taken as that of one picture.
    _v25("multiview-to-3d", "Tripo3D Multiview", _FOUR_SIDES),
    _h31("image-to-3d", "Tripo H3.1", {"image_url": url(picture=_SIZE)}),
    # Its bounds and price on FAL could not be read: a public reseller takes 2 to 4 pictures.
    _h31("multiview-to-3d", "Tripo H3.1 Multiview", _VIEWS),
    _p("p1", "image-to-3d", "Tripo P1", {"image_url": url(picture=_SIZE)}),
    # Not read at all: taken as p1.
    _p("p2", "image-to-3d", "Tripo P2", {"image_url": url(picture=_SHOWN)}),
    Endpoint(
        id="tripo3d/triposplat",
        title="TripoSplat",
        description="Makes 3D Gaussians of one picture.",
        tags=("3D", "gaussian-splat"),
        license="commercial",
        fields={
            "image_url": url(),
            "num_gaussians": integer(262144, 32768, 262144, "How many Gaussians the splat should have."),
            "num_inference_steps": integer(20, 1, 50),
            "guidance_scale": number(3, 0, 10),
            # The page that could be read ends before the choices: the model's own formats.
            "output_format": choice("ply", "ply", "splat", text="Format of the splat."),
            "seed": integer(),
        },
        # The name of the output could not be read: as sam-3 has it.
        outputs={"gaussian_splat": Output(content="model", required=True, description="The Gaussian splat.")},
        price=0.05,
        format_by="output_format",
        model_format="ply",
    ),
)
