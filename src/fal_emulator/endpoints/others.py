"""TripoSR and SAM 3D, and a few endpoints of other categories, so that a filter by category shows."""

from fal_emulator.endpoints.fields import (
    MAYBE_MODEL,
    MODEL,
    TIMINGS,
    array,
    choice,
    flag,
    integer,
    number,
    text,
    thing,
    url,
    urls,
)
from fal_emulator.endpoints.row import Endpoint, Field, Output

_REMESHING = Output(
    content="archive", when={"output_format": "obj"}, description="What belongs to the model, as a ZIP."
)
_FORMAT = choice("glb", "glb", "obj", text="Format of the model file.")

_TRIPOSR = (
    Endpoint(
        id="fal-ai/triposr",
        title="TripoSR",
        description="Makes a model of one picture in seconds.",
        tags=("stylized",),
        license="commercial",
        fields={
            "image_url": url(),
            "output_format": _FORMAT,
            "do_remove_background": flag(default=True, text="Removes the background."),
            "foreground_ratio": number(0.9, 0, 1, "How much of the picture the object fills."),
            "mc_resolution": integer(256, 1, text="Resolution of the marching cubes."),
        },
        outputs={"model_mesh": MODEL, "remeshing_dir": _REMESHING, "timings": TIMINGS},
        price=0.07,
        format_by="output_format",
    ),
    # The page shows the field's name and that it is billed by the second, whose price it rounds to nothing.
    # The client's types have a fifth format, USDC, which nobody here writes.
    Endpoint(
        id="fal-ai/triposr/remeshing",
        title="Remeshing",
        category="3d-to-3d",
        description="Remeshes a model.",
        license="commercial",
        fields={
            "object_url": url("model"),
            "output_format": choice("glb", "glb", "fbx", "obj", "stl", text="Format of the model file."),
            "faces": integer(5000, 1, text="Target number of faces."),
            "merge": flag(default=True, text="Merges duplicate vertices first."),
            "preserve_uvs": flag(default=True, text="Keeps the model's own UV map."),
        },
        outputs={"model_mesh": MODEL, "remeshing_dir": _REMESHING},
        price=0.0001,
        unit="compute seconds",
        limit="faces",
        format_by="output_format",
    ),
)

_POINT = thing(
    "PointPromptBase",
    x=Field(kind="integer", required=True),
    y=Field(kind="integer", required=True),
    label=Field(kind="integer", choices=(0, 1), default=1, description="1: of the object, 0: not of it."),
    object_id=integer(),
)
_BOX = thing(
    "BoxPromptBase",
    x_min=integer(),
    y_min=integer(),
    x_max=integer(),
    y_max=integer(),
    object_id=integer(),
)

_SAM = Endpoint(
    id="fal-ai/sam-3/3d-objects",
    title="SAM 3D Objects",
    description="Reconstructs the objects of a picture in 3D.",
    tags=("segmentation", "3d"),
    license="commercial",
    fields={
        "image_url": url(),
        "mask_urls": urls("mask", required=False),
        "prompt": text("car"),
        "point_prompts": array(_POINT, "Points on the objects."),
        "box_prompts": array(_BOX, "Boxes around the objects."),
        "seed": integer(),
        "pointmap_url": text(what="URL of a map of points, NPY or NPZ."),
        "export_textured_glb": flag(text="Bakes a texture."),
        "detection_threshold": number(None, 0.1, 1),
    },
    outputs={
        "gaussian_splat": Output(content="splat", required=True, description="All objects as Gaussians."),
        "model_glb": MAYBE_MODEL,
        "metadata": Output(content="metadata", required=True, description="Where each object is."),
        "individual_splats": Output(content="splats", description="A splat for each object."),
        "individual_glbs": Output(content="models", description="A model for each object."),
        "artifacts_zip": Output(content="archive", description="All files."),
    },
    price=0.02,
    unit="units",
)

_IMAGES = {"images": Output(content="textures", required=True, description="The pictures.")}
_IMAGE = {"prompt": text(required=True), "num_images": integer(1, 1, 4), "seed": integer()}


def _picture(endpoint_id: str, title: str, price: float) -> Endpoint:
    return Endpoint(
        id=endpoint_id,
        title=title,
        category="text-to-image",
        description="Makes a picture of words.",
        license="commercial",
        fields=_IMAGE,
        outputs=_IMAGES,
        price=price,
        unit="megapixels",
    )


_ELSEWHERE = (
    _picture("fal-ai/flux/dev", "FLUX.1 [dev]", 0.025),
    _picture("fal-ai/flux/schnell", "FLUX.1 [schnell]", 0.003),
    Endpoint(
        id="tripo3d/p1/text-to-3d",
        title="Tripo P1 Text",
        category="text-to-3d",
        description="Makes a model of words.",
        license="commercial",
        fields={
            "prompt": text(required=True),
            "face_limit": integer(None, 48, 20000),
            "texture": flag(default=True),
            "model_seed": integer(),
        },
        outputs={
            "model_mesh": MODEL,
            "model_urls": Output(content="model_urls", required=True),
            "rendered_image": Output(content="preview"),
        },
        price=0.01,
        unit="credits",
        limit="face_limit",
    ),
)

ROWS = (*_TRIPOSR, _SAM, *_ELSEWHERE)
