"""The format of a model file by its first bytes.

Called by the probe on what FAL returned: FAL's `content_type` is often `application/octet-stream`, so the
bytes go before it. Guesses that need more than the head (binary STL) use the length.
"""

import re
from typing import Literal

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
