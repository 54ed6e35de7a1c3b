"""The format of a model file by its first bytes.

Called by the worker on what FAL returned: FAL's `content_type` is often `application/octet-stream`, so
it is never asked. Guesses that need more than the head (binary STL) use the length.
"""

import re
from typing import Literal

ModelFormat = Literal["glb", "gltf", "fbx", "obj", "stl", "ply", "usdz", "zip", "unknown"]

_PROBE_BYTES = 4096
_OBJ_LINE = re.compile(rb"^(v|vn|vt|f|o|g|mtllib|usemtl|s)[ \t]+\S", re.MULTILINE)
_STL_HEADER_BYTES, _STL_TRIANGLE_BYTES = 84, 50


def sniff_model(data: bytes | memoryview) -> ModelFormat:
    """The format of a whole model file; `unknown` where no magic fits."""
    head = bytes(data[:_PROBE_BYTES])
    if head.startswith(b"glTF"):
        return "glb"
    if head.startswith((b"Kaydara FBX Binary", b"; FBX ")):
        return "fbx"
    if head.startswith((b"ply\n", b"ply\r")):
        return "ply"
    if head.startswith(b"PK\x03\x04"):
        return _archive(head)
    if _is_binary_stl(head, len(data)):
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
    return "obj" if b"\x00" not in head and _OBJ_LINE.search(head) else "unknown"
