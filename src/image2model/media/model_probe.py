"""The format of a model file by its first bytes.

Called by the probe on what FAL returned: FAL's `content_type` is often `application/octet-stream`, so the
bytes go before it. Guesses that need more than the head (binary STL) use the length.
"""

import re
from typing import Final, Literal

import msgspec

from image2model.media.glb import Measured, measure
from image2model.media.glb_container import GlbReader

ModelFormat = Literal[
    "glb", "gltf", "fbx", "obj", "stl", "ply", "usdz", "usdc", "usda", "blend", "dae", "zip", "unknown"
]

PROBE_BYTES = 4096
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


def sniff_model(head: bytes | memoryview, size: int | None) -> ModelFormat:
    """The format of a model file by its first `PROBE_BYTES`; `size` is that of all of it, where it is known.

    `unknown` where no magic fits.
    """
    head = bytes(head[:PROBE_BYTES])
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


HEAD_BYTES: Final = PROBE_BYTES
MOST_JSON: Final = 32 << 20
_PAGE: Final = re.compile(
    rb"<(!doctype\s+html|html|head|body|script|title|meta|\?xml[^>]*>\s*<(error|html))\b", re.IGNORECASE
)
_BOM: Final = b"\xef\xbb\xbf"


def _behind_comments(text: bytes) -> bytes:
    """What an HTML page begins with behind its comments."""
    while text.startswith(b"<!--") and (end := text.find(b"-->", 4)) > 0:
        text = text[end + 3 :].lstrip()
    return text


class NoFile(Exception):
    """In place of the file came nothing, a page, or an error's JSON. The message says which."""


class _Asset(msgspec.Struct):
    version: str | float


class _Gltf(msgspec.Struct):
    asset: _Asset


_gltf: Final = msgspec.json.Decoder(_Gltf)


class ModelProbe:
    """One file of which the first `HEAD_BYTES` have come (or all of it); `size` is the whole's, if known.

    `format` is what the bytes say, `unknown` where they say nothing. Raises NoFile.
    """

    def __init__(self, head: bytes, size: int | None) -> None:
        text = _behind_comments(head.removeprefix(_BOM).lstrip())
        if not head:
            raise NoFile("it is empty")
        if _PAGE.match(text):
            raise NoFile("it is a web page")
        self.format: ModelFormat = sniff_model(head, size)
        self._glb = GlbReader() if self.format == "glb" else None
        self._json = bytearray() if text[:1] in (b"{", b"[") else None

    def feed(self, data: bytes) -> None:
        """The next bytes, the head among them."""
        if self._glb is not None:
            self._glb.feed(data)
        elif self._json is not None:
            if len(self._json) + len(data) > MOST_JSON:
                self._json = None  # no error is as large as that
            else:
                self._json += data

    def end(self) -> None:
        """All of it has come. Raises NoFile where it is JSON and no glTF."""
        if self._json is None:
            return
        try:
            _gltf.decode(self._json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NoFile("it is JSON without glTF's asset.version") from error
        self.format = "gltf"

    @property
    def is_json(self) -> bool:
        """Whether it may be an error in place of a model: only `end` tells."""
        return self._json is not None

    @property
    def json_length(self) -> int:
        """How much `measured` has to read: from some size on that belongs into a thread."""
        return self._glb.json_length if self._glb is not None else 0

    def measured(self) -> Measured | None:
        """A GLB's numbers, None for another format."""
        return measure(self._glb) if self._glb is not None else None
