"""The format of a model file by its bytes, and whether the file is a model at all.

FAL's `content_type` is often `application/octet-stream`, so the bytes decide first. A host may also answer
with an empty file, a web page or an error as JSON: none of these may pass for a model.
"""

import re
from typing import Final, Literal

import msgspec

from image2model.media.glb import Measured, measure
from image2model.media.glb_container import MAX_JSON_BYTES, GlbReader

ModelFormat = Literal[
    "glb", "gltf", "fbx", "obj", "stl", "ply", "usdz", "usdc", "usda", "blend", "dae", "zip", "unknown"
]

HEAD_BYTES: Final = 4096
_OBJ_LINE = re.compile(rb"^(v|vn|vt|f|o|g|mtllib|usemtl|s)[ \t]+\S", re.MULTILINE)
_STL_HEADER_BYTES, _STL_TRIANGLE_BYTES = 84, 50
_MAGICS: tuple[tuple[bytes, ModelFormat], ...] = (
    (b"glTF", "glb"),
    (b"Kaydara FBX Binary", "fbx"),
    (b"; FBX ", "fbx"),
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
    (b"PXR-USDC", "usdc"),
    (b"#usda", "usda"),
    (b"BLENDER", "blend"),
)
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
_PAGE: Final = re.compile(
    rb"<(!doctype\s+html|html|head|body|script|title|meta|\?xml[^>]*>\s*<(error|html))\b", re.IGNORECASE
)
_BOM: Final = b"\xef\xbb\xbf"


class NotAModel(Exception):
    """The file is empty, a web page, or an error as JSON. The message says which."""


class ModelProbe:
    """One file, by its first `HEAD_BYTES` (or all of it); `size` is the whole file's, if known.

    `format` is the one that the bytes show, or `unknown`. Raises NotAModel.
    """

    def __init__(self, head: bytes, size: int | None) -> None:
        text = _without_comments(head.removeprefix(_BOM).lstrip())
        if not head:
            raise NotAModel("it is empty")
        if _PAGE.match(text):
            raise NotAModel("it is a web page")
        self.format: ModelFormat = sniff_model(head, size)
        self._glb = GlbReader() if self.format == "glb" else None
        self._json = bytearray() if text[:1] in (b"{", b"[") else None

    def feed(self, data: bytes) -> None:
        """The next bytes; begin with the head."""
        if self._glb is not None:
            self._glb.feed(data)
        elif self._json is not None:
            if len(self._json) + len(data) > MAX_JSON_BYTES:
                self._json = None  # an error is never this large
            else:
                self._json += data

    def end(self) -> None:
        """The file has ended. Raises NotAModel for JSON that is not glTF."""
        if self._json is None:
            return
        try:
            _gltf.decode(self._json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotAModel("it is JSON without glTF's asset.version") from error
        self.format = "gltf"

    @property
    def is_json(self) -> bool:
        """Whether it may be an error in place of a model: only `end` can decide."""
        return self._json is not None

    @property
    def json_length(self) -> int:
        """How much `measured` has to decode: from some size on, call it in a thread."""
        return self._glb.json_length if self._glb is not None else 0

    def measured(self) -> Measured | None:
        """A GLB's numbers, None for another format."""
        return measure(self._glb) if self._glb is not None else None


def sniff_model(head: bytes | memoryview, size: int | None) -> ModelFormat:
    """The format of a model file by its first `HEAD_BYTES`; `size` is the whole file's, if known.

    `unknown` where nothing matches.
    """
    head = bytes(head[:HEAD_BYTES])
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    if head.startswith(b"PK\x03\x04"):
        return _archive(head)
    if size is not None and _is_binary_stl(head, size):
        return "stl"
    return _text(head.removeprefix(b"\xef\xbb\xbf").lstrip())


def _archive(head: bytes) -> ModelFormat:
    """A USDZ is a ZIP whose first entry is a USD file."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return "usdz" if name.lower().endswith((b".usd", b".usda", b".usdc")) else "zip"


def _is_binary_stl(head: bytes, size: int) -> bool:
    triangles = int.from_bytes(head[80:84], "little")
    return triangles > 0 and size == _STL_HEADER_BYTES + triangles * _STL_TRIANGLE_BYTES


def _text(head: bytes) -> ModelFormat:
    if head.startswith(b"{"):
        return "gltf" if b'"asset"' in head or b'"accessors"' in head else "unknown"
    if head.startswith(b"solid") and b"facet" in head:
        return "stl"
    if head.startswith(b"<") and b"<COLLADA" in head:
        return "dae"
    return "obj" if b"\x00" not in head and _OBJ_LINE.search(head) else "unknown"


def _without_comments(text: bytes) -> bytes:
    """The text without the HTML comments at its start."""
    while text.startswith(b"<!--") and (end := text.find(b"-->", 4)) > 0:
        text = text[end + 3 :].lstrip()
    return text


class _Asset(msgspec.Struct):
    version: str | float


class _Gltf(msgspec.Struct):
    asset: _Asset


_gltf: Final = msgspec.json.Decoder(_Gltf)


def media_type(file_format: str, claimed: str | None = None) -> str:
    """The registered type of a format (`glb`, `png`, …), or `application/octet-stream`.

    For an unknown format it is the `claimed` type, unless a browser would run that.
    """
    known = _TYPES.get(file_format)
    if known is not None or claimed is None:
        return known or "application/octet-stream"
    plain = claimed.partition(";")[0].strip().lower()
    return plain if _HARMLESS.fullmatch(plain) and not _ACTIVE.search(plain) else "application/octet-stream"
