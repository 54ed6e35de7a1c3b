"""Trellis and Trellis 2 at FAL."""

from image2model.fal.endpoints.endpoint import GLB_OUTPUTS, MESH_OUTPUTS, Endpoint, Params, flat
from image2model.fal.endpoints.parameter import SEED, Parameters, boolean, choice, integer, number
from image2model.money import to_micro

_TRELLIS: Parameters = {
    "ss_guidance_strength": number("Guidance of the sparse structure.", 0, 10, default=7.5),
    "ss_sampling_steps": integer("Sampling steps of the sparse structure.", 1, 50, default=12),
    "slat_guidance_strength": number("Guidance of the structured latent.", 0, 10, default=3),
    "slat_sampling_steps": integer("Sampling steps of the structured latent.", 1, 50, default=12),
    "mesh_simplify": number("Share of the mesh that is simplified away.", 0.9, 0.98, default=0.95),
    "texture_size": choice("Edge of the texture, pixels.", 512, 1024, 2048),
    "seed": SEED,
}

_TRELLIS_2: Parameters = {
    "resolution": choice("Resolution of the shape; higher is slower.", 512, 1024, 1536, default=1024),
    "texture_size": choice("Edge of the texture, pixels.", 1024, 2048, 4096, default=2048),
    "decimation_target": integer("How far the mesh is reduced: its target size.", 1, default=500_000),
    "remesh": boolean("Rebuild the topology for cleaner triangles.", default=True),
    "seed": SEED,
}

_BY_RESOLUTION = {512: "0.25", 1024: "0.30", 1536: "0.35"}


def _trellis_2_price(params: Params) -> int:
    resolution = TRELLIS_2.setting(params, "resolution")
    return to_micro(_BY_RESOLUTION[int(resolution or 1024)])


TRELLIS = Endpoint(
    id="fal-ai/trellis",
    title="Trellis",
    parameters=_TRELLIS,
    outputs=MESH_OUTPUTS,
    price=flat(to_micro("0.02")),
    price_note="$0.02 a model",
)

TRELLIS_2 = Endpoint(
    id="fal-ai/trellis-2",
    title="Trellis 2",
    parameters=_TRELLIS_2,
    outputs=GLB_OUTPUTS,
    price=_trellis_2_price,
    price_note="$0.25 at resolution 512, $0.30 at 1024, $0.35 at 1536",
    face_limit_param="decimation_target",
)
