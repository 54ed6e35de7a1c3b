"""What no document of FAL's says: one row for each endpoint of which something is known besides its schema.

A row holds the price by parameters, the parameter that limits faces, and which output is which kind of file.
Prices are those that FAL's model pages stated when the row was written; a price that nobody stated is left
out, and is unknown then. An endpoint without a row works: `endpoint` derives what it can.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from image2model.domain import PictureLimits
from image2model.fal.endpoints.parameter import Json
from image2model.money import to_micro

Setting = Callable[[str], Json]
"""The value that a run would use: the parameter's, else FAL's default; None where neither is known."""
Price = Callable[[Setting], int]
"""Micro-dollars for one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one endpoint besides FAL's document.

    `reference`: the unit price in FAL's list, in micro-dollars, that `price` was written for, where the unit
    is one run: when FAL changes it, all steps of `price` change with it. 0 where nobody stated it: then the
    price stays as it was written.
    `model`: the output fields that may hold the model, the best first. `kinds`: the kind of file in other
    output fields. `unit_micro`: what one unit costs where only the run shows how many there are.
    `cutout`: the endpoint makes no model, it removes the background of a picture, and this output field holds
    the picture without it. `takes`: the formats of a model that it takes, where its schema names none.
    `limits`: how large a picture it takes, where its schema does not say that.
    """

    price: Price | None = None
    reference: int = 0
    note: str = ""
    face_limit: str | None = None
    model: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    license: str | None = None
    unit_micro: int = 0
    takes: tuple[str, ...] = ()
    cutout: str = ""
    limits: PictureLimits | None = None


def _flat(dollars: str, note: str, *, face_limit: str | None = None) -> Row:
    """The row of an endpoint whose every run costs the same: FAL's price of one run is the price."""
    micro = to_micro(dollars)
    return Row(price=lambda _setting: micro, reference=micro, note=note, face_limit=face_limit)


def _tripo_v25(setting: Setting) -> int:
    by_texture = {"no": "0.20", "HD": "0.40"}
    base = to_micro(by_texture.get(str(setting("texture")), "0.30"))
    return base + (to_micro("0.05") if setting("quad") else 0)


def _tripo_h31(setting: Setting) -> int:
    texture = "0.20"
    if setting("texture") or setting("pbr"):
        texture = "0.40" if setting("texture_quality") == "detailed" else "0.30"
    detailed = setting("geometry_quality") == "detailed"
    return to_micro(texture) + (to_micro("0.20") if detailed else 0)


def _tripo_p1(setting: Setting) -> int:
    return to_micro("0.40" if setting("texture") is False else "0.50")


def _trellis_2(setting: Setting) -> int:
    return to_micro({"512": "0.25", "1536": "0.35"}.get(str(setting("resolution")), "0.30"))


def _hunyuan_v2(setting: Setting) -> int:
    return to_micro("0.16") * (3 if setting("textured_mesh") else 1)


def _pixal(setting: Setting) -> int:
    # FAL's page prices 1024p, 2048p and 4096p: the values of texture_size, whose default is 2048
    return to_micro("0.30" if str(setting("texture_size")) == "1024" else "0.42")


def _trellis_2_lora(setting: Setting) -> int:
    return to_micro("0.25" if str(setting("resolution")) == "512" else "0.30")


def _rodin_25(setting: Setting) -> int:
    base = to_micro("0.80" if setting("tier") == "Gen-2.5-Extreme-High" else "0.40")
    addons = setting("addons")
    packed = "HighPack" in addons if isinstance(addons, list) else addons == "HighPack"
    return base + (to_micro("0.80") if packed else 0)


def _meshy_preview(setting: Setting) -> int:
    base = to_micro("2" if setting("should_texture") is False else "3")
    rigging = to_micro("0.50") if setting("enable_rigging") else 0
    return base + rigging + (to_micro("0.30") if setting("enable_animation") else 0)


def _trellis_2_retexture(setting: Setting) -> int:
    return to_micro("0.20" if str(setting("resolution")) == "512" else "0.24")


def _meshy_rigging(setting: Setting) -> int:
    return to_micro("0.20") + (to_micro("0.12") if setting("enable_animation") else 0)


def _meshy_animations(setting: Setting) -> int:
    asked = setting("animation_action_ids")
    return to_micro("0.20") + to_micro("0.12") * (len(set(map(str, asked))) if isinstance(asked, list) else 0)


_TRIPO: Final = PictureLimits(max_bytes=20_000_000, max_width=6_000, max_height=6_000)
"""Of Tripo's own documentation: 20 MB, and each side from 20 to 6,000 pixels."""
_TENCENT: Final = PictureLimits(max_bytes=8_000_000, max_width=5_000, max_height=5_000)
"""Of Tencent's own documentation, and of FAL's words about one picture of 3.1: 8 MB, 128 to 5,000 pixels."""
_RIGGED: Final = ("rigged_character_glb", "rigged_character_fbx")
_MESHY_RIGGING: Final = Row(
    price=_meshy_rigging, note="$0.20 a model; an animation adds $0.12", model=_RIGGED, license="commercial"
)
_TRIPO_KINDS: Final = MappingProxyType({"base_model": "base", "pbr_model": "pbr"})

OVERLAY: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "tripo3d/tripo/v2.5/image-to-3d": Row(
            price=_tripo_v25,
            note="$0.20 untextured, $0.30 with standard texture, $0.40 with HD texture; quad adds $0.05",
            face_limit="face_limit",
            kinds=_TRIPO_KINDS,
            limits=_TRIPO,
        ),
        "tripo3d/tripo/v2.5/multiview-to-3d": Row(face_limit="face_limit", kinds=_TRIPO_KINDS, limits=_TRIPO),
        "tripo3d/h3.1/image-to-3d": Row(
            price=_tripo_h31,
            note="$0.20 untextured, $0.30 with standard texture, $0.40 with detailed texture; "
            "detailed geometry adds $0.20",
            face_limit="face_limit",
            kinds=_TRIPO_KINDS,
            limits=_TRIPO,
        ),
        "tripo3d/h3.1/multiview-to-3d": Row(face_limit="face_limit", kinds=_TRIPO_KINDS, limits=_TRIPO),
        "tripo3d/p1/image-to-3d": Row(
            price=_tripo_p1,
            note="$0.40 untextured, $0.50 textured",
            face_limit="face_limit",
            kinds=_TRIPO_KINDS,
            limits=_TRIPO,
        ),
        "tripo3d/triposplat": replace(_flat("0.05", "$0.05 a splat"), limits=_TRIPO),
        "fal-ai/trellis": _flat("0.02", "$0.02 a model"),
        "fal-ai/trellis-2": Row(
            price=_trellis_2,
            note="$0.25 at resolution 512, $0.30 at 1024, $0.35 at 1536",
            face_limit="decimation_target",
        ),
        "fal-ai/trellis-2/multi": Row(face_limit="decimation_target"),
        "fal-ai/trellis-2-lora": Row(price=_trellis_2_lora, note="$0.25 at resolution 512, $0.30 at 1024"),
        "fal-ai/hyper3d/rodin": _flat("0.40", "$0.40 a model"),
        "fal-ai/hyper3d/rodin/v2.5": Row(
            price=_rodin_25, note="$0.40, $0.80 in tier Gen-2.5-Extreme-High; HighPack adds $0.80"
        ),
        "fal-ai/hyper3d/rodin/v2.5/fast": Row(price=_rodin_25, note="$0.40; HighPack adds $0.80"),
        "fal-ai/pixal3d": Row(
            price=_pixal,
            note="$0.30 with textures of 1024, $0.42 of 2048 and 4096",
            face_limit="decimation_target",
        ),
        "fal-ai/hunyuan3d/v2": Row(
            price=_hunyuan_v2, reference=to_micro("0.16"), note="$0.16 untextured, $0.48 textured"
        ),
        "fal-ai/hunyuan3d-v3/image-to-3d": replace(
            _flat("0.375", "$0.375 a model", face_limit="face_count"), limits=_TENCENT
        ),
        "fal-ai/hunyuan3d-v3/sketch-to-3d": Row(face_limit="face_count", limits=_TENCENT),
        "fal-ai/hunyuan-3d/v3.1/pro/image-to-3d": Row(face_limit="face_count", limits=_TENCENT),
        "fal-ai/hunyuan-3d/v3.1/rapid/image-to-3d": Row(limits=_TENCENT),
        "fal-ai/hunyuan3d-v21": Row(model=("model_glb_pbr", "model_glb", "model_mesh")),
        # FAL's page shows an FBX; Tencent's own documentation of the job says that it takes no other format
        "fal-ai/hunyuan-3d/v3.1/part": Row(takes=("fbx",)),
        "fal-ai/triposr": _flat("0.07", "$0.07 a model"),
        "fal-ai/meshy/v6/image-to-3d": _flat("0.80", "$0.80 a model", face_limit="target_polycount"),
        "fal-ai/meshy/v5/multi-image-to-3d": Row(face_limit="target_polycount"),
        "fal-ai/meshy/v6-preview/multi-image-to-3d": Row(
            price=_meshy_preview,
            note="$2 untextured, $3 textured; rigging adds $0.50, animation $0.30",
            face_limit="target_polycount",
        ),
        "fal-ai/meshy/v5/retexture": _flat("0.30", "$0.30 a model"),
        "fal-ai/meshy/v5/remesh": _flat("0.20", "$0.20 a model", face_limit="target_polycount"),
        "fal-ai/meshy/rigging": _MESHY_RIGGING,
        "meshy/rigging": _MESHY_RIGGING,
        "fal-ai/meshy/rigging/multi-animation": Row(
            price=_meshy_animations,
            note="$0.20 a model; each animation adds $0.12",
            model=_RIGGED,
            license="commercial",
        ),
        "hyper3d/rigging": _flat("0.20", "$0.20 a model"),
        "fal-ai/trellis-2/retexture": Row(
            price=_trellis_2_retexture, note="$0.20 at resolution 512, $0.24 at 1024"
        ),
        "fal-ai/ultrashape": _flat("0.15", "$0.15 a model"),
        "fal-ai/hunyuan-part": Row(model=("segmented_mesh",)),
        "fal-ai/triposr/remeshing": Row(face_limit="faces"),
        "fal-ai/omnipart": Row(model=("full_model_mesh", "model_mesh")),
        "fal-ai/sam-3/3d-objects": Row(
            note="$0.02 a unit; the number of units is known after the run",
            model=("model_glb",),
            kinds=MappingProxyType({"gaussian_splat": "splat"}),
            unit_micro=to_micro("0.02"),
        ),
        "fal-ai/bria/background/remove": replace(
            _flat("0.018", "$0.018 a picture"), cutout="image", license="commercial"
        ),
        # Their pages say "$0 per compute seconds", which is a rounded price: it counts as unknown.
        "fal-ai/birefnet": Row(cutout="image", license="commercial"),
        "fal-ai/birefnet/v2": Row(cutout="image", license="commercial"),
    }
)

NO_ROW: Final = Row()

REMOVERS: Final = tuple(model for model, row in OVERLAY.items() if row.cutout)
"""The ids of the endpoints that remove backgrounds: known here alone, for no document says it."""
