"""The media type of each format that we serve. Who calls it: downloads, and the worker when it stores."""

from typing import Final

_TYPES: Final = {
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "obj": "model/obj",
    "stl": "model/stl",
    "usdz": "model/vnd.usdz+zip",
    "zip": "application/zip",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "webp": "image/webp",
}


def media_type(file_format: str) -> str:
    """The registered type of a format (`glb`, `png`, …), or `application/octet-stream`."""
    return _TYPES.get(file_format, "application/octet-stream")
