"""What a 3D model that was submitted is: its format by its first bytes, and the texture inside a GLB.

Called by the studio for endpoints that work on a model. Nothing here trusts the file: what cannot be read has
no format, or no texture.
"""

import json
import re
import struct
from typing import Final

_GLB_HEAD: Final = struct.Struct("<4sIIII")
_JSON_CHUNK: Final = 0x4E4F534A
_OBJ: Final = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:mtllib|usemtl|o|g|v|vn|vt|s) [^\n]*\n")
_STL_HEAD, _STL_FACE = 84, 50
_PREFIXES: Final = (
    (b"glTF", "glb"),
    (b"; FBX", "fbx"),
    (b"Kaydara FBX Binary", "fbx"),
    (b"ply\n", "ply"),
    (b"ply\r\n", "ply"),
    (b"#usda", "usda"),
    (b"PXR-USDC", "usdc"),
    (b"BLENDER", "blend"),
    (b"solid ", "stl"),
)


def model_format(data: bytes) -> str | None:
    """The format by its usual suffix; None where the bytes are those of none."""
    for prefix, name in _PREFIXES:
        if data.startswith(prefix):
            return name
    if data.startswith(b"PK\x03\x04"):
        return "usdz" if b".usd" in data[:256] else "zip"
    if data[:64].lstrip().startswith(b"{") and b'"asset"' in data:
        return "gltf"
    if len(data) > _STL_HEAD and len(data) == _STL_HEAD + _STL_FACE * int.from_bytes(data[80:84], "little"):
        return "stl"
    return "obj" if _OBJ.match(data) else None


def texture_of(data: bytes) -> bytes | None:
    """The first image in a GLB; None where there is none, or the file is no whole GLB."""
    try:
        magic, _, _, length, kind = _GLB_HEAD.unpack_from(data)
        if magic != b"glTF" or kind != _JSON_CHUNK:
            return None
        start = _GLB_HEAD.size
        document = json.loads(data[start : start + length])
        view = document["bufferViews"][document["images"][0]["bufferView"]]
        at = start + length + 8 + int(view.get("byteOffset", 0))
        found = data[at : at + int(view["byteLength"])]
    except (struct.error, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return found or None
