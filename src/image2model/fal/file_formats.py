"""The format of a file by what FAL says of it, and which formats are 3D models.

Who calls it: the files of a result. What the bytes say goes before this, where they say anything. Pure.
"""

import re
from typing import Final
from urllib.parse import unquote

UNKNOWN: Final = "bin"
_SUFFIX: Final = re.compile(r"\.([A-Za-z0-9]{1,12})$")
_NOTHING: Final = frozenset({"bin", "dat", "tmp", "file", "octet"})
_BY_TYPE: Final = {
    "model/gltf-binary": "glb",
    "model/gltf+json": "gltf",
    "model/obj": "obj",
    "model/stl": "stl",
    "model/ply": "ply",
    "model/vnd.usdz+zip": "usdz",
    "model/3mf": "3mf",
    "application/zip": "zip",
    "application/json": "json",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "text/plain": "txt",
}
_TYPE: Final = re.compile(r"(?:application|model|x)/(?:x-|vnd\.)?([a-z0-9]{1,12})")
_MODELS: Final = (
    *("glb", "gltf", "fbx", "obj", "usdz", "usd", "usdc", "usda", "blend", "dae", "3mf", "stl", "ply"),
    *("spz", "splat", "ksplat", "sog", "zip", UNKNOWN),
)
_PICTURES: Final = frozenset(
    (
        *("apng", "avif", "bmp", "exr", "gif", "hdr", "heic", "ico", "jpeg", "jpg", "jxl", "ktx", "ktx2"),
        *("pdf", "png", "svg", "tga", "tif", "tiff", "webp"),
    )
)
_FILMS_AND_SOUNDS: Final = frozenset(("m4a", "mkv", "mov", "mp3", "mp4", "ogg", "wav", "webm"))
_TEXTS: Final = frozenset(
    ("csv", "htm", "html", "json", "log", "md", "mtl", "npy", "npz", "toml", "txt", "xml", "yaml", "yml")
)
_NO_MODELS: Final = _PICTURES | _FILMS_AND_SOUNDS | _TEXTS


def format_of(file_name: str | None, url: str, content_type: str | None) -> str:
    """The suffix of the name, else of the URL, else what the type stands for; `bin` where nothing says it."""
    for name in (file_name, unquote(url.partition("?")[0].partition("#")[0]).rpartition("/")[2]):
        if name and (match := _SUFFIX.search(name)) and match[1].lower() not in _NOTHING:
            return match[1].lower()
    plain = (content_type or "").partition(";")[0].strip().lower()
    if plain in _BY_TYPE:
        return _BY_TYPE[plain]
    match = _TYPE.fullmatch(plain)
    return match[1] if match and match[1] not in _NOTHING else UNKNOWN


def model_rank(file_format: str) -> int | None:
    """How good a model of this format is, 0 the best; None for what is none.

    A format that is not known may be one.
    """
    if file_format in _NO_MODELS:
        return None
    return _MODELS.index(file_format) if file_format in _MODELS else len(_MODELS) - 1
