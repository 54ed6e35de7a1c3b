"""What a run costs in USD by its arguments, for the endpoints whose price depends on them.

Read by the billing. The figures are those of FAL's model pages, quoted second-hand. An endpoint that is not
here costs its row's price, or that times its seconds where it is billed by the compute second.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fal_emulator.endpoints import ENDPOINTS, Endpoint

Arguments = Mapping[str, object]

_TRIPO_TEXTURE = {"no": 0.20, "standard": 0.30, "HD": 0.40}
_TRELLIS_2 = {"512": 0.25, "1024": 0.30, "1536": 0.35}
_PIXAL = {"1024": 0.30, "2048": 0.42, "4096": 0.42}
_PER_SECOND = "compute seconds"


def units(endpoint: Endpoint, given: Arguments, seconds: float) -> float:
    """How many of the endpoint's units a run of so many seconds is: units × price = what it costs.

    The figures are for the table's own price: where the price is changed, every run is dearer or cheaper.
    """
    if endpoint.unit == _PER_SECOND:
        return seconds
    arguments = {**endpoint.defaults, **given}
    cost = _COSTS.get(endpoint.id)
    if cost is None or not endpoint.price:
        return 1.0
    return cost(arguments) / (ENDPOINTS[endpoint.id].price or endpoint.price)


def _tripo_v2(arguments: Arguments) -> float:
    """By texture, and more for quads."""
    texture = _TRIPO_TEXTURE.get(str(arguments.get("texture")), 0.30)
    return texture + (0.05 if arguments.get("quad") is True else 0.0)


def _tripo_h3(arguments: Arguments) -> float:
    """By texture (which `pbr` turns on), and more for detailed geometry."""
    textured = arguments.get("texture", True) or arguments.get("pbr", True)
    detailed = arguments.get("texture_quality") == "detailed"
    texture = (0.40 if detailed else 0.30) if textured else 0.20
    return texture + (0.20 if arguments.get("geometry_quality") == "detailed" else 0.0)


def _tripo_p1(arguments: Arguments) -> float:
    """By texture."""
    return 0.50 if arguments.get("texture", True) else 0.40


def _trellis_2(arguments: Arguments) -> float:
    """By resolution."""
    return _TRELLIS_2.get(str(arguments.get("resolution")), 0.30)


def _pixal(arguments: Arguments) -> float:
    """By the size of the texture: the page has 1024p, 2048p and 4096p, which are its choices."""
    return _PIXAL.get(str(arguments.get("texture_size")), 0.42)


def _hunyuan_v2(arguments: Arguments) -> float:
    """Three times as much with textures."""
    return 0.48 if arguments.get("textured_mesh") is True else 0.16


def _meshy_preview(arguments: Arguments) -> float:
    """By texture, and more for a rig and an animation."""
    rigging = 0.50 if arguments.get("enable_rigging") is True else 0.0
    extra = rigging + (0.30 if arguments.get("enable_animation") is True else 0.0)
    return (3.00 if arguments.get("should_texture", True) else 2.00) + extra


def _rodin_v25(arguments: Arguments) -> float:
    """By tier, and more for HighPack."""
    addons = arguments.get("addons")
    pack = 0.80 if isinstance(addons, list) and "HighPack" in addons else 0.0
    return (0.80 if arguments.get("tier") == "Gen-2.5-Extreme-High" else 0.40) + pack


def _retexture(arguments: Arguments) -> float:
    """By resolution."""
    return 0.20 if str(arguments.get("resolution")) == "512" else 0.24


def _rigging(arguments: Arguments) -> float:
    """More for each animation."""
    ids = arguments.get("animation_action_ids")
    clips = len(set(ids)) if isinstance(ids, list) else int(arguments.get("enable_animation") is True)
    return 0.20 + 0.12 * clips


def _fifty_units(_arguments: Arguments) -> float:
    """A guess: one public program says what a run costs."""
    return 0.75


_COSTS: Mapping[str, Callable[[Arguments], float]] = MappingProxyType(
    {
        "tripo3d/tripo/v2.5/image-to-3d": _tripo_v2,
        "tripo3d/tripo/v2.5/multiview-to-3d": _tripo_v2,
        "tripo3d/h3.1/image-to-3d": _tripo_h3,
        "tripo3d/h3.1/multiview-to-3d": _tripo_h3,
        "tripo3d/p1/image-to-3d": _tripo_p1,
        "tripo3d/p1/text-to-3d": _tripo_p1,
        "tripo3d/p2/image-to-3d": _tripo_p1,
        "fal-ai/trellis-2": _trellis_2,
        "fal-ai/trellis-2-lora": _trellis_2,
        "fal-ai/trellis-2/retexture": _retexture,
        "fal-ai/meshy/rigging": _rigging,
        "meshy/rigging": _rigging,
        "fal-ai/meshy/rigging/multi-animation": _rigging,
        "fal-ai/hunyuan-3d/v3.1/smart-topology": _fifty_units,
        "fal-ai/hunyuan-3d/v3.1/part": _fifty_units,
        "fal-ai/pixal3d": _pixal,
        "fal-ai/hunyuan3d/v2": _hunyuan_v2,
        "fal-ai/meshy/v6-preview/multi-image-to-3d": _meshy_preview,
        "fal-ai/hyper3d/rodin/v2.5": _rodin_v25,
        "fal-ai/hyper3d/rodin/v2.5/fast": _rodin_v25,
    }
)
