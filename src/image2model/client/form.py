"""The form of an upload or a quote: its fields, and pictures and objects as parts."""

import json
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from image2model.client.multipart import MultipartBody, Part, Picture
from image2model.client.objects import Object
from image2model.domain import MetadataValue

_MICRO: Final = Decimal("0.000001")

Source = str | os.PathLike[str] | Picture | Object
"""What becomes one model: a picture by its path or as bytes, or an object of several views."""


def form(
    sources: Sequence[Source],
    *,
    params: Mapping[str, Any] | None,
    face_limit: int | None,
    no_cache: bool,
    metadata: Mapping[str, MetadataValue] | None = None,
    params_strict: bool,
    max_cost_usd: float | None,
    **texts: str | None,
) -> MultipartBody:
    """The body. The same arguments give the same fields, in the same order.

    Raises ValueError for two objects of one name, which the form could not tell apart.
    """
    things = [_thing(source) for source in sources]
    names = [thing.name for thing in things if isinstance(thing, Object)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two objects are named {twice[0]!r}; give each a name of its own")
    fields = {
        **texts,
        "params": json.dumps(params) if params else None,
        "face_limit": str(face_limit) if face_limit is not None else None,
        "no_cache": "true" if no_cache else None,
        "metadata": json.dumps(dict(metadata)) if metadata else None,
        "manifest": _manifest(things),
        "params_strict": None if params_strict else "false",
        "max_cost_usd": None if max_cost_usd is None else _dollars(max_cost_usd),
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return MultipartBody(given, [part for thing in things for part in _parts(thing)])


def _thing(source: Source) -> Picture | Object:
    return source if isinstance(source, Picture | Object) else Picture.from_path(source)


def _parts(thing: Picture | Object) -> list[Part]:
    if isinstance(thing, Picture):
        return [Part("files", thing)]
    return [
        Part(f"objects[{thing.name}]" + (f"[{view.side}]" if view.side else ""), view.file)
        for view in thing.sided
    ]


def _manifest(things: Sequence[Picture | Object]) -> str | None:
    """What is said about single pictures, by their index among all files, and about objects, by their name;
    None where nothing is.
    """
    files: list[dict[str, object]] = []
    objects: list[dict[str, object]] = []
    part = 0
    for thing in things:
        if thing.metadata and isinstance(thing, Picture):
            files.append({"part": part, "metadata": dict(thing.metadata)})
        elif thing.metadata:
            objects.append({"name": thing.name, "metadata": dict(thing.metadata)})
        part += len(thing.views) if isinstance(thing, Object) else 1
    said = {name: entries for name, entries in (("files", files), ("objects", objects)) if entries}
    return json.dumps(said) if said else None


def _dollars(amount: float) -> str:
    """Micro-dollars are the smallest that counts; a limit is rounded down."""
    return str((Decimal(str(amount)) // _MICRO) * _MICRO)
