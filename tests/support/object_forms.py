"""Forms with objects of several views, in each way in which a client may name them.

Who calls it: the tests of objects. A way takes the number of pictures and returns the form.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from tests.support.multipart_body import Body
from tests.support.sketches import picture

SIDES: Final = ("front", "back", "left", "right", "top", "bottom", "left_front", "right_front")
NAME: Final = "chair"


def view(seed: int = 0, object_: int = 0) -> bytes:
    """A small picture that no other view of any object is."""
    return picture(seed=1000 * object_ + seed, size=(20 + seed, 16), fmt="PNG")


def part(body: Body, name: str, payload: bytes, filename: str = "view.png") -> Body:
    """Add a file under any part name."""
    return body.part(f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', payload)


def sides(count: int) -> Body:
    """`objects[chair][front]`, `objects[chair][back]` …"""
    body = Body()
    for number, side in enumerate(SIDES[:count]):
        part(body, f"objects[{NAME}][{side}]", view(number), f"{side}.png")
    return body


def listed(count: int) -> Body:
    """`objects[chair]`, as often as there are pictures."""
    body = Body()
    for number in range(count):
        part(body, f"objects[{NAME}]", view(number), f"{number}.png")
    return body


def manifest_of_sides(count: int) -> Body:
    """A manifest after the files, which names a side of each."""
    entries = [{"part": number, "side": side} for number, side in enumerate(SIDES[:count])]
    return text(files(count), {"objects": [{"name": NAME, "views": entries}]})


def manifest_of_parts(count: int) -> Body:
    """A manifest before the files, which names no sides."""
    entries = [{"part": number} for number in range(count)]
    body = text(Body(), {"objects": [{"name": NAME, "views": entries}]})
    body.parts += files(count).parts
    return body


def files(count: int) -> Body:
    """Plain pictures: each is an object of its own."""
    body = Body()
    for number in range(count):
        body.file(f"{number}.png", view(number))
    return body


WAYS: Final[Mapping[str, Callable[[int], Body]]] = {
    "sides": sides,
    "listed": listed,
    "manifest of sides": manifest_of_sides,
    "manifest of parts": manifest_of_parts,
    "files": files,
}


def text(body: Body, manifest: object) -> Body:
    """Add a manifest."""
    return body.text("manifest", json.dumps(manifest))


def four_views(count: int = 1, **fields: str) -> Body:
    """So many objects of four named sides, and these fields; they may cost $90."""
    body = Body()
    for number in range(count):
        for at, side in enumerate(SIDES[:4]):
            part(body, f"objects[o{number}][{side}]", view(at, number), f"{side}.png")
    for name, value in {"max_cost_usd": "90", **fields}.items():
        body.text(name, value)
    return body
