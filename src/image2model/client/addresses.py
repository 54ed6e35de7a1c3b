"""Pictures by address in an upload, which then goes as JSON; files and bytes beside them go in base64."""

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from image2model.client.form import Source, field_text
from image2model.client.multipart import Address, Picture
from image2model.client.objects import Object, View
from image2model.client.requests import BASE
from image2model.client.transport import Call
from image2model.shielded import in_thread

_MIN_UPLOAD_SPEED: Final = 32 * 1024  # bytes a second: a slower try times out


def has_addresses(sources: Sequence[Source]) -> bool:
    """Whether one of them, or a view of one, is an address."""
    return any(
        isinstance(one, Address)
        or (isinstance(one, Object) and any(isinstance(view.picture, Address) for view in one.sided))
        for one in sources
    )


async def json_call(
    path: str,
    sources: Sequence[Source],
    models: Sequence[str],
    options: Mapping[str, object],
    headers: Mapping[str, str] | None = None,
) -> Call:
    """A POST of JSON. It may be repeated: it has a key, or buys nothing. The same arguments give the same
    body.

    Raises FileNotFoundError and the like.
    """
    images, objects = [], []
    for source in sources:
        if isinstance(source, Object):
            views = [await _view(view) for view in source.sided]
            objects.append({"name": source.name, "views": views, **_metadata(source)})
        else:
            images.append(await _picture(source))
    body: dict[str, Any] = {"images": images, "objects": objects, "model": list(models)}
    body |= {name: text for name, value in options.items() if (text := field_text(name, value))}
    data = msgspec.json.encode(body)
    return Call(
        method="POST",
        path=BASE + path,
        headers={"Content-Type": "application/json", **(headers or {})},
        body=data,
        safe=True,
        deadline=60 + len(data) / _MIN_UPLOAD_SPEED,
    )


async def _view(view: View) -> dict[str, object]:
    picture = {**await _picture(view.picture)}
    picture.pop("metadata", None)
    return {**picture, "side": view.side} if view.side else picture


async def _picture(source: str | os.PathLike[str] | Picture | Address) -> dict[str, object]:
    if isinstance(source, Address):
        named = {"filename": source.name} if source.name else {}
        return {"url": source.url, **named, **_metadata(source)}
    picture = source if isinstance(source, Picture) else Picture.from_path(source)
    data = b"".join([chunk async for chunk in picture.chunks()])
    text = (await in_thread(base64.b64encode, data)).decode()
    return {"data": text, "filename": picture.name, **_metadata(picture)}


def _metadata(source: Picture | Address | Object) -> dict[str, object]:
    return {"metadata": dict(source.metadata)} if source.metadata else {}
