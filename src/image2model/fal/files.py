"""Finds the files in a model's output: first by the endpoint's mapping, then every other object with a URL.

Pure and lenient: a missing, null or oddly shaped field is skipped, and an unknown field with a file in it
counts. Numbers and lengths are bounded, so an output of any size takes little time.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

import msgspec

from image2model.fal.endpoints import Endpoint
from image2model.fal.hosts import escaped

MODEL: Final = "model"
_RESERVED: Final = frozenset({MODEL, "original", "prepared"})
"""Kinds with a meaning of their own in downloads."""
_MAX_FILES: Final = 256
_MAX_NODES: Final = 200_000
"""Objects and lists of an output that are visited."""
_MAX_KIND: Final = 40
_MAX_URL: Final = 8192
_MAX_TEXT: Final = 256
_UNSAFE: Final = re.compile(r"[^a-z0-9]+")
UNKNOWN: Final = "bin"
_SUFFIX: Final = re.compile(r"\.([A-Za-z0-9]{1,12})$")
_MEANINGLESS: Final = frozenset({"bin", "dat", "tmp", "file", "octet"})
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
_VIDEO_AND_AUDIO: Final = frozenset(("m4a", "mkv", "mov", "mp3", "mp4", "ogg", "wav", "webm"))
_TEXTS: Final = frozenset(
    ("csv", "htm", "html", "json", "log", "md", "mtl", "npy", "npz", "toml", "txt", "xml", "yaml", "yml")
)
_NOT_MODELS: Final = _PICTURES | _VIDEO_AND_AUDIO | _TEXTS


class FalFile(msgspec.Struct, frozen=True):
    """One file at FAL. `file_size` is in bytes, if FAL gives it; its content type cannot be trusted.

    `kind` is safe as a part of a path, and no two files of a result share it. `field` is where in FAL's
    output the file was named.
    """

    kind: str
    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    field: str = ""

    @property
    def format(self) -> str:
        """The format by name, URL or type, such as `glb`; `bin` where none of them gives it."""
        return format_of(self.file_name, self.url, self.content_type)

    @property
    def rank(self) -> int | None:
        """How good a model of this format is, 0 the best; None for a file that is not a model."""
        return model_rank(self.format)


def files_of(endpoint: Endpoint, output: object) -> tuple[FalFile, ...]:
    """The output's files, the model first where there is one.

    Files of the endpoint's mapping come in its order, then all others in the order of the output. Each URL
    occurs once, under its first kind. There are at most 256, plus a better model found after them. What
    removes backgrounds makes no model, whatever its files look like.
    """
    found = _Found()
    for kind, paths in endpoint.outputs.items():
        for path in paths:
            if (file := _file(_at(output, path), path)) is not None:
                found.add(kind, file)
                break
    for name, path, value in _walk(output):
        if found.complete:
            break
        if (file := _file(value, path)) is not None:
            found.add(name, file, mapped=False)
    files = tuple(found.by_url.values())
    return files if endpoint.removes_background else _model_first(files)


def format_of(file_name: str | None, url: str, content_type: str | None) -> str:
    """The suffix of the name, else of the URL, else the format of the type; `bin` where none gives it."""
    for name in (file_name, unquote(url.partition("?")[0].partition("#")[0]).rpartition("/")[2]):
        if name and (match := _SUFFIX.search(name)) and match[1].lower() not in _MEANINGLESS:
            return match[1].lower()
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in _BY_TYPE:
        return _BY_TYPE[media_type]
    match = _TYPE.fullmatch(media_type)
    return match[1] if match and match[1] not in _MEANINGLESS else UNKNOWN


def model_rank(file_format: str) -> int | None:
    """How good a model of this format is, 0 the best; None for a format that is not a model.

    An unknown format counts as a model.
    """
    if file_format in _NOT_MODELS:
        return None
    return _MODELS.index(file_format) if file_format in _MODELS else len(_MODELS) - 1


class _Found:
    def __init__(self) -> None:
        self.by_url: dict[str, FalFile] = {}
        self._kinds: set[str] = set()
        self._best: int | None = None

    def add(self, name: str, file: FalFile, *, mapped: bool = True) -> None:
        """`mapped`: the name comes from our mapping, else from FAL."""
        if file.url in self.by_url or not self._has_room_for(file):
            return
        if mapped and name == MODEL:
            self._best = -1
        elif file.rank is not None:
            self._best = file.rank if self._best is None else min(self._best, file.rank)
        kind = name if mapped else self._free(_slug(name))
        self._kinds.add(kind)
        self.by_url[file.url] = msgspec.structs.replace(file, kind=kind)

    @property
    def complete(self) -> bool:
        """Whether no further file would be taken."""
        return len(self.by_url) >= _MAX_FILES and self._best is not None and self._best <= 0

    def _has_room_for(self, file: FalFile) -> bool:
        """Whether the file is taken: always if it is a better model than those before."""
        if len(self.by_url) < _MAX_FILES:
            return True
        return file.rank is not None and (self._best is None or file.rank < self._best)

    def _free(self, name: str) -> str:
        taken = self._kinds | _RESERVED
        kind, number = name, 2
        while kind in taken:
            kind, number = f"{name}-{number}", number + 1
        return kind


def _model_first(files: tuple[FalFile, ...]) -> tuple[FalFile, ...]:
    """The model first: the mapping's, else the best file that looks like one."""
    if any(file.kind == MODEL for file in files):
        return tuple(sorted(files, key=lambda file: file.kind != MODEL))
    models = [file for file in files if file.rank is not None]
    if not models:
        return files
    model = min(models, key=lambda file: file.rank or 0)
    others = tuple(file for file in files if file is not model)
    return (msgspec.structs.replace(model, kind=MODEL), *others)


def _walk(output: object) -> Iterator[tuple[str, str, object]]:
    """Every object of the output, depth first: its name, its path, and the object.

    Names and paths are shortened, because each object below repeats them.
    """
    pending = [iter([("file", "", output)])]
    visited = 0
    while pending and visited < _MAX_NODES:
        node = next(pending[-1], None)
        if node is None:
            pending.pop()
            continue
        visited += 1
        name, path, value = node
        if isinstance(value, Mapping):
            yield node
            pending.append(_members(value, path))
        elif isinstance(value, list):
            pending.append(_elements(value, name, path))


def _members(value: Mapping[object, object], path: str) -> Iterator[tuple[str, str, object]]:
    for key, part in value.items():
        if isinstance(part, (Mapping, list)):
            name = _storable(str(key)[:_MAX_TEXT])
            yield name, (f"{path}.{name}" if path else name)[:_MAX_TEXT], part


def _elements(value: list[object], name: str, path: str) -> Iterator[tuple[str, str, object]]:
    single = _singular(name)
    for number, part in enumerate(value):
        if isinstance(part, (Mapping, list)):
            yield single, f"{path}[{number}]"[:_MAX_TEXT], part


def _file(value: object, path: str) -> FalFile | None:
    """A file object of FAL. In a mapped field, a bare URL or a list of files counts as well."""
    if isinstance(value, list):
        return next((file for part in value if (file := _file(part, path)) is not None), None)
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, Mapping):
        return None
    url, size = value.get("url"), value.get("file_size")
    if not isinstance(url, str) or not _is_url(url := escaped(_storable(url[: _MAX_URL + 1]))):
        return None
    return FalFile(
        kind="",
        url=url,
        content_type=_text(value.get("content_type")),
        file_name=_text(value.get("file_name")),
        file_size=int(size) if isinstance(size, (int, float)) and 0 <= size < 1 << 53 else None,
        field=path[:_MAX_TEXT],
    )


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://")) and len(text) <= _MAX_URL


def _text(value: object) -> str | None:
    return _storable(value[:_MAX_TEXT]) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """The text without lone surrogates, which cannot be stored."""
    return text.encode("utf-8", "replace").decode()


def _at(output: object, path: str) -> object:
    for name in path.split("."):
        if not isinstance(output, Mapping):
            return None
        output = output.get(name)
    return output


def _slug(name: str) -> str:
    return _UNSAFE.sub("-", name.lower()).strip("-")[:_MAX_KIND].strip("-") or "file"


def _singular(name: str) -> str:
    for ending, kept in (("shes", 2), ("ches", 2), ("xes", 2), ("ss", 0), ("s", 1)):
        if name.endswith(ending) and len(name) > len(ending):
            return name[: len(name) - kept]
    return name
