"""What a run costs in USD by its arguments, for the endpoints whose price depends on them.

Read through the endpoint table. The figures are those of FAL's model pages, quoted second-hand.
"""

from collections.abc import Mapping

Arguments = Mapping[str, object]

_TRIPO_TEXTURE = {"no": 0.20, "standard": 0.30, "HD": 0.40}
_TRELLIS_2 = {512: 0.25, 1024: 0.30, 1536: 0.35}


def tripo_v2(arguments: Arguments) -> float:
    """By texture, and more for quads."""
    texture = _TRIPO_TEXTURE[str(arguments.get("texture") or "standard")]
    return texture + (0.05 if arguments.get("quad") is True else 0.0)


def tripo_h3(arguments: Arguments) -> float:
    """By texture (which `pbr` turns on), and more for detailed geometry."""
    textured = arguments.get("texture", True) or arguments.get("pbr", True)
    detailed = arguments.get("texture_quality") == "detailed"
    texture = (0.40 if detailed else 0.30) if textured else 0.20
    return texture + (0.20 if arguments.get("geometry_quality") == "detailed" else 0.0)


def tripo_p1(arguments: Arguments) -> float:
    """By texture."""
    return 0.50 if arguments.get("texture", True) else 0.40


def trellis_2(arguments: Arguments) -> float:
    """By resolution."""
    resolution = arguments.get("resolution")
    return _TRELLIS_2[resolution if isinstance(resolution, int) else 1024]


def hunyuan_v2(arguments: Arguments) -> float:
    """Three times as much with textures."""
    return 0.48 if arguments.get("textured_mesh") is True else 0.16
