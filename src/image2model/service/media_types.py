"""The media type of each format that we serve. Who calls it: downloads, and the worker when it stores."""

import re
from typing import Final

_TYPES: Final = {
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "obj": "model/obj",
    "stl": "model/stl",
    "ply": "model/ply",
    "3mf": "model/3mf",
    "usdz": "model/vnd.usdz+zip",
    "zip": "application/zip",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "webp": "image/webp",
}
_HARMLESS: Final = re.compile(r"(model|application)/(octet-stream|(x-|vnd\.)?[a-z0-9][a-z0-9.+-]{0,60})")
_ACTIVE: Final = re.compile(r"html|xml|script|svg|pdf|json|flash|wasm", re.IGNORECASE)


def media_type(file_format: str, said: str | None = None) -> str:
    """The registered type of a format (`glb`, `png`, …), or `application/octet-stream`.

    For a format that we do not know it is what somebody `said`, unless a browser would run that.
    """
    known = _TYPES.get(file_format)
    if known is not None or said is None:
        return known or "application/octet-stream"
    plain = said.partition(";")[0].strip().lower()
    return plain if _HARMLESS.fullmatch(plain) and not _ACTIVE.search(plain) else "application/octet-stream"
