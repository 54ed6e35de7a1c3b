"""TRELLIS, TRELLIS.2, and the models built on it: LoRA, ReconViaGen, Pixal3D."""

from fal_emulator.endpoints.fields import (
    MODEL,
    SEED,
    TIMINGS,
    choice,
    flag,
    integer,
    number,
    quoted,
    text,
    url,
    urls,
)
from fal_emulator.endpoints.row import Endpoint, Field

_SECOND = 0.00125
"""USD for a compute second. Made up."""

_TRELLIS = {
    "ss_guidance_strength": number(7.5, 0, 10),
    "ss_sampling_steps": integer(12, 1, 50),
    "slat_guidance_strength": number(3, 0, 10),
    "slat_sampling_steps": integer(12, 1, 50),
    "mesh_simplify": number(0.95, 0, 1, "How much the mesh is simplified."),
    "texture_size": quoted(1024, 512, 1024, 2048),
    "seed": integer(),
}
_SPARSE = {
    "ss_guidance_strength": number(7.5, 0, 10),
    "ss_guidance_rescale": number(0.7, 0, 1),
    "ss_sampling_steps": integer(12, 1, 50),
    "ss_rescale_t": number(5, 1, 6),
}
_SHAPE = {
    "shape_slat_guidance_strength": number(7.5, 0, 10),
    "shape_slat_guidance_rescale": number(0.5, 0, 1),
    "shape_slat_sampling_steps": integer(12, 1, 50),
    "shape_slat_rescale_t": number(3, 1, 6),
}
_TEXTURE = {
    "tex_slat_guidance_strength": number(1, 0, 10),
    "tex_slat_guidance_rescale": number(0, 0, 1),
    "tex_slat_sampling_steps": integer(12, 1, 50),
    "tex_slat_rescale_t": number(3, 1, 6),
}
_MESH = {
    "decimation_target": integer(500000, 1),
    "texture_size": quoted(2048, 1024, 2048, 4096),
    "remesh": flag(default=True, text="Rebuilds the topology."),
    "remesh_band": number(1, 0, 4),
    "remesh_project": number(0, 0, 1),
}
_SEEDED = {"seed": integer()}
_STAGES = {**_SPARSE, **_SHAPE, **_TEXTURE}
_PICTURE = {"image_url": url()}
_RESOLUTION = quoted(1024, 512, 1024, 1536)
_ALGORITHM = choice("stochastic", "stochastic", "multidiffusion", text="How several pictures are joined.")


def _two(
    suffix: str,
    title: str,
    fields: dict[str, Field],
    price: float,
    *,
    unit: str = "generations",
) -> Endpoint:
    return Endpoint(
        id=f"fal-ai/{suffix}",
        title=title,
        description="A native 3D generative model for assets of high quality.",
        tags=("stylized", "transform"),
        license="commercial",
        fields=fields,
        outputs={"model_glb": MODEL},
        price=price,
        unit=unit,
        limit="decimation_target" if "decimation_target" in fields else None,
    )


ROWS = (
    Endpoint(
        id="fal-ai/trellis",
        title="Trellis",
        description="Makes versatile 3D assets of pictures.",
        tags=("stylized",),
        license="commercial",
        fields={**_PICTURE, **_TRELLIS},
        outputs={"model_mesh": MODEL, "timings": TIMINGS},
        price=0.02,
    ),
    # Its price could not be read.
    Endpoint(
        id="fal-ai/trellis/multi",
        title="Trellis Multi",
        description="Makes versatile 3D assets of several pictures.",
        tags=("stylized",),
        license="commercial",
        fields={"image_urls": urls(), **_TRELLIS, "multiimage_algo": _ALGORITHM},
        outputs={"model_mesh": MODEL, "timings": TIMINGS},
        price=_SECOND,
        unit="compute seconds",
    ),
    _two(
        "trellis-2",
        "Trellis 2",
        {**_PICTURE, **_SEEDED, "resolution": _RESOLUTION, **_STAGES, **_MESH},
        0.30,
    ),
    # Neither page nor price could be read: TRELLIS.2's fields with a list of pictures.
    _two(
        "trellis-2/multi",
        "Trellis 2 Multi",
        {
            "image_urls": urls(),
            **_SEEDED,
            "resolution": _RESOLUTION,
            **_STAGES,
            **_MESH,
            "multiimage_algo": _ALGORITHM,
        },
        _SECOND,
        unit="compute seconds",
    ),
    # Its page calls it image-to-3d.
    _two(
        "trellis-2/retexture",
        "Trellis 2 Retexture",
        {
            "mesh_url": url(
                "model", "URL of the mesh: GLB, OBJ, PLY or STL.", formats=("glb", "obj", "ply", "stl")
            ),
            "image_url": url("style", required=True),
            **_SEEDED,
            "resolution": quoted(1024, 512, 1024),
            **_TEXTURE,
            "texture_size": quoted(2048, 1024, 2048, 4096),
        },
        0.24,
    ),
    # The fields after the sparse structure's could not be read: TRELLIS.2's own.
    _two(
        "trellis-2-lora",
        "TRELLIS.2 LoRA",
        {
            **_PICTURE,
            "sparse_structure_lora_url": text(what="LoRA of the sparse structure."),
            "geometry_lora_url": text(what="LoRA of the geometry."),
            "texture_lora_url": text(what="LoRA of the texture."),
            **_SEEDED,
            "resolution": quoted(512, 512, 1024),
            **_STAGES,
            **_MESH,
        },
        0.25,
    ),
    # Only the name of its pictures is known: TRELLIS.2's fields.
    _two(
        "reconviagen-0.5",
        "ReconViaGen 0.5",
        {"image_urls": urls(), **_SEEDED, **_SPARSE, **_MESH},
        _SECOND,
        unit="compute seconds",
    ),
    # A public reseller shows the fields after the first stage's; its choices of texture_size are not there.
    Endpoint(
        id="fal-ai/pixal3d",
        title="Pixal3D",
        description="Turns one picture into a detailed model with a realistic texture.",
        tags=("stylized", "transform"),
        license="commercial",
        fields={
            **_PICTURE,
            **_SEEDED,
            "resolution": quoted(1024, 1024, 1536),
            **{name: field for name, field in _STAGES.items() if name != "tex_slat_guidance_rescale"},
            "mesh_scale": number(1, 0.1, 10),
            "max_num_tokens": integer(49152, 1),
            "decimation_target": integer(200000, 1),
            "texture_size": quoted(2048, 1024, 2048, 4096),
            "remesh": flag(default=True, text="Rebuilds the topology."),
        },
        outputs={"model_glb": MODEL, "seed": SEED},
        price=0.30,
        limit="decimation_target",
    ),
)
