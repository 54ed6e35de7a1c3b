"""The image-to-3D endpoints on offer: how each spells its input, its parameters and its output.

Read by the queue (is this endpoint known, is the input right, what does the result look like) and by the
platform routes (schemas and prices). It knows no HTTP and makes no file.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from fal_emulator import prices
from fal_emulator.outputs import (
    Made,
    hunyuan_v2,
    hunyuan_v3,
    meshy,
    model_glb,
    model_mesh_with_timings,
    model_mesh_with_urls,
    rodin,
    sam_3,
    tripo_v2,
)


class Parameter(msgspec.Struct, frozen=True):
    """One input field besides the picture. `kind` is JSON Schema's type; bounds are inclusive."""

    kind: str
    default: object = None
    choices: tuple[str | int, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    `picture` is the field that holds the picture's URL (a list of URLs where `many`), `limit` the one that
    bounds the number of triangles, `file_format` maps an input to the model file's format, `output` makes
    the result's JSON. `price` is USD for one generation with default parameters, `bill` USD by arguments
    where they matter. `variants` are the formats of `model_urls` besides the model's own.
    """

    id: str
    output: Callable[[Made], dict[str, object]]
    price: float | None = None
    bill: Callable[[prices.Arguments], float] | None = None
    variants: tuple[str, ...] = ()
    picture: str = "image_url"
    many: bool = False
    limit: str | None = None
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    file_format: Callable[[Mapping[str, object]], str] = lambda _: "glb"

    @property
    def app(self) -> str:
        """owner/alias: what every URL but the submit's keeps."""
        return "/".join(self.id.split("/")[:2])


def _integer(default: int | None = None, low: int | None = None, high: int | None = None) -> Parameter:
    return Parameter("integer", default, minimum=low, maximum=high)


def _number(default: float, low: float | None = None, high: float | None = None) -> Parameter:
    return Parameter("number", default, minimum=low, maximum=high)


def _flag(*, default: bool) -> Parameter:
    return Parameter("boolean", default)


def _choice(default: str | int | None, *choices: str | int) -> Parameter:
    kind = "integer" if isinstance(choices[0], int) else "string"
    return Parameter(kind, default, choices)


def _fbx_if_quad(arguments: Mapping[str, object]) -> str:
    return "fbx" if arguments.get("quad") is True else "glb"


def _output_format(arguments: Mapping[str, object]) -> str:
    return "obj" if arguments.get("output_format") == "obj" else "glb"


def _geometry_file_format(arguments: Mapping[str, object]) -> str:
    return str(arguments.get("geometry_file_format") or "glb")


_TRELLIS_STEPS = {
    "ss_guidance_strength": _number(7.5, 0),
    "ss_sampling_steps": _integer(12, 1),
    "slat_guidance_strength": _number(3, 0),
    "slat_sampling_steps": _integer(12, 1),
}

_TABLE = (
    Endpoint(
        id="tripo3d/tripo/v2.5/image-to-3d",
        output=tripo_v2,
        price=0.30,
        bill=prices.tripo_v2,
        limit="face_limit",
        file_format=_fbx_if_quad,
        parameters={
            "texture": _choice("standard", "no", "standard", "HD"),
            "pbr": _flag(default=False),
            "face_limit": _integer(low=1),
            "auto_size": _flag(default=False),
            "quad": _flag(default=False),
            "texture_alignment": _choice("original_image", "original_image", "geometry"),
            "orientation": _choice("default", "default", "align_image"),
            "seed": _integer(),
            "texture_seed": _integer(),
        },
    ),
    Endpoint(
        id="tripo3d/h3.1/image-to-3d",
        output=model_mesh_with_urls,
        price=0.30,
        bill=prices.tripo_h3,
        limit="face_limit",
        file_format=_fbx_if_quad,
        parameters={
            "face_limit": _integer(low=1),
            "texture": _flag(default=True),
            "pbr": _flag(default=True),
            "texture_quality": _choice("standard", "standard", "detailed"),
            "geometry_quality": _choice("standard", "standard", "detailed"),
            "auto_size": _flag(default=False),
            "quad": _flag(default=False),
        },
    ),
    Endpoint(
        id="tripo3d/p1/image-to-3d",
        output=model_mesh_with_urls,
        price=0.50,
        bill=prices.tripo_p1,
        limit="face_limit",
        parameters={
            "face_limit": _integer(low=48, high=20000),
            "texture": _flag(default=True),
            "model_seed": _integer(),
        },
    ),
    Endpoint(
        id="fal-ai/trellis",
        output=model_mesh_with_timings,
        price=0.02,
        parameters={
            **_TRELLIS_STEPS,
            "mesh_simplify": _number(0.95, 0, 1),
            "texture_size": _choice(1024, 512, 1024, 2048),
            "seed": _integer(),
        },
    ),
    Endpoint(
        id="fal-ai/trellis-2",
        output=model_glb,
        price=0.30,
        bill=prices.trellis_2,
        limit="decimation_target",
        parameters={
            "resolution": _choice(1024, 512, 1024, 1536),
            "texture_size": _choice(2048, 1024, 2048, 4096),
            "decimation_target": _integer(500000, 1),
            "remesh": _flag(default=True),
            "seed": _integer(),
        },
    ),
    Endpoint(
        id="fal-ai/hunyuan3d/v2",
        output=hunyuan_v2,
        price=0.16,
        bill=prices.hunyuan_v2,
        picture="input_image_url",
        parameters={
            "num_inference_steps": _integer(50, 1),
            "guidance_scale": _number(7.5, 0),
            "octree_resolution": _integer(256, 1),
            "textured_mesh": _flag(default=False),
            "seed": _integer(),
        },
    ),
    Endpoint(
        id="fal-ai/hunyuan3d-v3/image-to-3d",
        output=hunyuan_v3,
        price=0.375,
        variants=("obj",),
        picture="input_image_url",
        limit="face_count",
        parameters={
            "face_count": _integer(500000, 1),
            "generate_type": _choice("Normal", "Normal", "LowPoly", "Geometry"),
            "enable_pbr": _flag(default=False),
        },
    ),
    Endpoint(
        id="fal-ai/triposr",
        output=model_mesh_with_timings,
        price=0.07,
        file_format=_output_format,
        parameters={
            "output_format": _choice("glb", "glb", "obj"),
            "do_remove_background": _flag(default=True),
            "foreground_ratio": _number(0.9, 0, 1),
            "mc_resolution": _integer(256, 1),
        },
    ),
    Endpoint(
        id="fal-ai/meshy/v6/image-to-3d",
        output=meshy,
        price=0.80,
        variants=("fbx", "obj", "stl"),
        limit="target_polycount",
        parameters={
            "topology": _choice("triangle", "quad", "triangle"),
            "target_polycount": _integer(30000, 1),
            "should_remesh": _flag(default=True),
            "should_texture": _flag(default=True),
            "enable_pbr": _flag(default=False),
            "symmetry_mode": Parameter("string"),
        },
    ),
    Endpoint(
        id="fal-ai/hyper3d/rodin/v2",
        output=rodin,
        picture="input_image_urls",
        many=True,
        file_format=_geometry_file_format,
        parameters={
            "geometry_file_format": _choice("glb", "glb", "usdz", "fbx", "obj", "stl"),
            "material": _choice("All", "PBR", "Shaded", "All"),
            "quality_mesh_option": Parameter("string"),
        },
    ),
    Endpoint(
        id="fal-ai/sam-3/3d-objects",
        output=sam_3,
        price=0.02,
        parameters={
            "prompt": Parameter("string"),
            "export_textured_glb": _flag(default=False),
            "seed": _integer(),
        },
    ),
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({endpoint.id: endpoint for endpoint in _TABLE})
