"""Small GLB files for tests, written here from the specification, whole or broken on purpose."""

import json
import struct
from typing import Any

# One triangle: three positions of three floats, then three unsigned shorts, padded.
_POSITIONS = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 2, 0)
_INDICES = struct.pack("<3H", 0, 1, 2) + b"\x00\x00"
BINARY = _POSITIONS + _INDICES


def document(**changes: Any) -> dict[str, Any]:
    """The JSON of one indexed triangle from (0, 0, 0) to (1, 2, 0); `changes` replace top-level parts."""
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 2, 0],
            },
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 6},
        ],
        "buffers": [{"byteLength": len(BINARY)}],
    } | changes


def glb(parts: dict[str, Any] | None = None, binary: bytes | None = BINARY) -> bytes:
    """The container around a document and its binary chunk (None: no such chunk)."""
    text = json.dumps(document() if parts is None else parts).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    if binary is not None:
        binary += b"\x00" * (-len(binary) % 4)
        body += struct.pack("<I4s", len(binary), b"BIN\x00") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
