"""Endpoints that FAL does not have, for catalogues of any size: each differs from the others as real ones do.

Called by the catalogue. The same number and seed always make the same endpoint.
"""

from random import Random

from fal_emulator.endpoints import Endpoint, Field, Output
from fal_emulator.endpoints import fields as f

_SPELLINGS = ("image_url", "input_image_url", "image_urls", "input_image_urls", "front_image_url")
_MAKERS = ("acme", "brookside", "corvus", "dunlin", "emberly")
_KINDS = ("image-to-3d", "v2/image-to-3d", "turbo")
_OPTIONAL = {
    "seed": f.integer(),
    "texture_size": f.quoted(1024, 512, 1024, 2048),
    "resolution": f.quoted(1024, 512, 1024, 1536),
    "guidance_scale": f.number(7.5, 0, 20),
    "num_inference_steps": f.integer(30, 1, 50),
    "enable_pbr": f.flag(),
    "topology": f.choice("triangle", "quad", "triangle"),
    "target_polycount": f.integer(30000, 100, 300000),
    "texture_prompt": f.text(),
    "texture_image_url": f.url("style", required=False),
    "mask_urls": f.urls("mask", required=False),
    "bbox_condition": f.array(Field(kind="number"), low=3, high=3),
    "strength": Field(
        kind="number", default=0.5, above=0, maximum=1, description="How strong the effect is."
    ),
    "tags": f.array(f.text()),
    "camera": f.thing("Camera", azimuth=f.number(0, -180, 180), distance=f.number(2, 0.5, 10)),
}
_EXTRA = {
    "thumbnail": f.PREVIEW,
    "seed": f.SEED,
    "model_urls": f.model_urls("obj", "fbx"),
    "textures": Output(content="textures"),
    "texture_urls": Output(content="texture_files"),
    "artifacts_zip": Output(content="archive"),
    "timings": f.TIMINGS,
}
_UNITS = ("generations", "generations", "credits", "compute seconds", "units")


def synthetic(number: int, seed: int) -> Endpoint:
    """The endpoint of this number."""
    draw = Random(f"{seed}:synthetic:{number}")  # noqa: S311 - repeatable, no secret
    spelling = draw.choice(_SPELLINGS)
    fields: dict[str, Field] = {spelling: _picture(spelling)}
    if spelling == "front_image_url":
        fields |= {f"{name}_image_url": f.side(name) for name in ("back", "left", "right")}
    for name in draw.sample(sorted(_OPTIONAL), draw.randint(2, 10)):
        optional = _OPTIONAL[name]
        fields[name] = (
            Field(kind="object", name=optional.name, fields=optional.fields) if optional.fields else optional
        )
    model = draw.choice(("model_glb", "model_mesh", "mesh"))
    extra = {name: _EXTRA[name] for name in draw.sample(sorted(_EXTRA), draw.randint(1, 5))}
    priced = draw.random() < 0.9
    return Endpoint(
        id=f"{draw.choice(_MAKERS)}/model-{number:04}/{draw.choice(_KINDS)}",
        title=f"Synthetic model {number}",
        description="An endpoint of the emulator alone.",
        tags=("synthetic",),
        fields=fields,
        outputs={model: f.MODEL, **extra},
        license=draw.choice(("commercial", "research", None)),
        price=round(draw.uniform(0.001, 2), 3) if priced else None,
        unit=draw.choice(_UNITS),
        limit="target_polycount" if "target_polycount" in fields else None,
    )


def _picture(spelling: str) -> Field:
    if spelling.endswith("urls"):
        return f.urls(high=5)
    return f.side("front", required=True) if spelling.startswith("front") else f.url()
