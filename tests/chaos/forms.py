"""What one batch uploads, drawn from the run's seed: pictures, their variants, or objects of several views.

Who calls it: the uploads. The same seed and number give the same form, however often it is sent.
"""

import json
from random import Random
from typing import Final

import aiohttp
import msgspec

from tests.support.sketches import picture

SIDED: Final = "tripo3d/tripo/v2.5/multiview-to-3d"
"""It costs what the default model does."""
_SIDES: Final = ("front", "back", "left", "right")
_PRICE_USD: Final = 0.3
_VARIANTS: Final = 5
_KINDS: Final = {"pictures": 2, "variants": 1, "part names": 1, "manifest": 1}


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: (part name, file name, bytes). `images`: of how many the job will be."""

    files: list[tuple[str, str, bytes]]
    fields: dict[str, str]
    images: int

    def data(self) -> aiohttp.FormData:
        """A body of its own for each request."""
        form = aiohttp.FormData()
        for name, value in self.fields.items():
            form.add_field(name, value)
        for name, filename, data in self.files:
            form.add_field(name, data, filename=filename, content_type="image/png")
        return form


def draw(seed: int, start: int, count: int) -> Form:
    """The form of so many images, whose first picture or object is number `start`."""
    random = Random(f"{seed} {start}")
    (kind,) = random.choices(list(_KINDS), list(_KINDS.values()))
    numbers = range(start, start + count)
    if kind == "variants" and count % _VARIANTS == 0:
        files = _plain(seed, numbers[: count // _VARIANTS])
        return Form(files=files, fields={"variants": str(_VARIANTS)}, images=count)
    if kind in ("pictures", "variants"):
        return Form(files=_plain(seed, numbers), fields={}, images=count)
    objects = {number: ("front", *random.sample(_SIDES[1:], random.randrange(4))) for number in numbers}
    views = [(number, side) for number, sides in objects.items() for side in sides]
    fields = {"model": SIDED, "max_cost_usd": f"{_PRICE_USD * count:.2f}"}
    if kind == "manifest":
        fields["manifest"] = _manifest(views)
    return Form(
        files=[
            (
                "files" if kind == "manifest" else f"objects[{number}][{side}]",
                f"{side}.png",
                _picture(seed, number, _SIDES.index(side)),
            )
            for number, side in views
        ],
        fields=fields,
        images=count,
    )


def _plain(seed: int, numbers: range) -> list[tuple[str, str, bytes]]:
    return [("files", f"{number}.png", _picture(seed, number)) for number in numbers]


def _manifest(views: list[tuple[int, str]]) -> str:
    objects: dict[int, list[dict[str, object]]] = {}
    for part, (number, side) in enumerate(views):
        objects.setdefault(number, []).append({"part": part, "side": side})
    entries = [{"name": str(number), "views": entry} for number, entry in objects.items()]
    return json.dumps({"objects": entries})


def _picture(seed: int, number: int, view: int = 0) -> bytes:
    return picture((seed * 1_000_000 + number) * len(_SIDES) + view, (24, 16))
