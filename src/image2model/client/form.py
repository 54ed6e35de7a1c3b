"""The form of an upload or a quote: its fields, and pictures and objects as parts."""

import json
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypedDict

from image2model.client.multipart import Address, MultipartBody, Part, Picture
from image2model.client.objects import Object
from image2model.domain import MetadataValue

_MICRO: Final = Decimal("0.000001")

Source = str | os.PathLike[str] | Picture | Address | Object
"""What becomes one model: a picture by path, as bytes or by address, or an object of several views."""


class QuoteOptions(TypedDict, total=False):
    """What a price depends on.

    `params`: the model's; for several models also one object for each, by its id. `face_limit`: the most
    faces. `variants`: how many models of each picture, with other seeds (1 to 10). `remove_background`: True,
    or the id of the endpoint that does it, is a paid request for each picture; `crop` to the object and
    `pad_square` are free. With `confirm_prepared` an image then waits for `confirm`. `no_cache`: make a new
    model even if there is one of the same picture. Without `params_strict`, parameters that the model's
    schema does not have go to FAL as they are. `max_cost_usd`: the most that all pictures may cost together;
    needed where the price is not known before the run.
    """

    params: Mapping[str, Any] | None
    face_limit: int | None
    variants: int | None
    remove_background: bool | str
    crop: bool
    pad_square: bool
    confirm_prepared: bool
    no_cache: bool
    params_strict: bool
    max_cost_usd: float | None


class UploadOptions(QuoteOptions, total=False):
    """And what it does not depend on. `priority`: `normal` or `low`. `webhook_url` is called when a job ends.
    `on_invalid`: `skip` runs the good pictures beside bad ones. `metadata`: the caller's own data on the job;
    that on one picture goes with `Picture` or `Object`.
    """

    priority: str | None
    webhook_url: str | None
    on_invalid: str | None
    metadata: Mapping[str, MetadataValue] | None


def form(sources: Sequence[Source], models: Sequence[str], options: Mapping[str, object]) -> MultipartBody:
    """The body. The same arguments give the same fields, in the same order.

    Raises ValueError for two objects of one name, which the form could not tell apart.
    """
    things = [_thing(source) for source in sources]
    names = [thing.name for thing in things if isinstance(thing, Object)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two objects are named {twice[0]!r}; give each a name of its own")
    fields = [("model", model) for model in models]
    fields += [(name, text) for name, value in options.items() if (text := field_text(name, value))]
    if manifest := _manifest(things):
        fields.append(("manifest", manifest))
    return MultipartBody(fields, [part for thing in things for part in _parts(thing)])


def field_text(name: str, value: object) -> str | None:
    """The value of a field as the form has it; None where it says nothing."""
    if name == "params_strict":
        return None if value else "false"
    if name == "max_cost_usd" and isinstance(value, float | int):
        return _dollars(value)
    if value is None or value is False or value == {}:
        return None
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return "true" if value is True else str(value)


def _thing(source: Source) -> Picture | Object:
    if isinstance(source, Address):
        raise TypeError("an address is no file: it is sent as JSON")
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
