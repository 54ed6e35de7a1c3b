"""What removes the background of a picture: Bria's RMBG 2.0 and both BiRefNets. They make no model.

The pages of BiRefNet say "$0 per compute seconds": the price of a second is made up here. `sync_mode` and
`mask_only` are taken and change nothing, as do the choices of model and resolution.
"""

from fal_emulator.endpoints.fields import choice, flag, url
from fal_emulator.endpoints.row import Endpoint, Field, Output

_PICTURE = {"image_url": url(text="URL of the picture to remove the background of.")}
_SYNC = {"sync_mode": flag(text="Returns the picture as a data URI.")}
_CUTOUT = Output(content="cutout", required=True, description="The picture without its background.")
_MASK = Output(content="mask", when={"output_mask": True}, description="The mask that was used.")


def _birefnet(suffix: str, title: str, models: tuple[str, ...], sizes: tuple[str, ...]) -> Endpoint:
    mask_only: dict[str, Field] = {"mask_only": flag(text="Returns only the mask.")} if suffix else {}
    return Endpoint(
        id=f"fal-ai/birefnet{suffix}",
        title=title,
        category="image-to-image",
        description="Removes the background of a picture.",
        tags=("background removal", "segmentation"),
        license="commercial",
        fields={
            **_PICTURE,
            "model": choice(models[0], *models, text="Which model removes the background."),
            "operating_resolution": choice(sizes[0], *sizes, text="The resolution to work at."),
            **mask_only,
            "output_mask": flag(text="Returns the mask too."),
            "refine_foreground": flag(default=True, text="Refines the foreground by the mask."),
            **_SYNC,
            "output_format": choice("png", "webp", "png", "gif", text="Format of the picture."),
        },
        outputs={"image": _CUTOUT, "mask_image": _MASK},
        price=0.0001,
        unit="compute seconds",
        format_by="output_format",
        model_format="png",
    )


_LIGHT, _HEAVY = "General Use (Light)", "General Use (Heavy)"
_V2 = (_LIGHT, "General Use (Light 2K)", _HEAVY, "Matting", "Portrait", "General Use (Dynamic)")

ROWS = (
    Endpoint(
        id="fal-ai/bria/background/remove",
        title="Bria RMBG 2.0",
        category="image-to-image",
        description="Removes the background of a picture. Trained on licensed data alone.",
        tags=("background removal",),
        license="commercial",
        fields={**_PICTURE, **_SYNC},
        outputs={"image": _CUTOUT},
        price=0.018,
        model_format="png",
    ),
    _birefnet("", "BiRefNet", (_LIGHT, _HEAVY, "Portrait"), ("1024x1024", "2048x2048")),
    _birefnet("/v2", "BiRefNet V2", _V2, ("1024x1024", "2048x2048", "2304x2304")),
)
