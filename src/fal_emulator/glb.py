"""Writes a relief as binary glTF 2.0, valid without an error or a warning in Khronos' validator.

Called in a worker thread. The layout follows the glTF 2.0 specification: a 12-byte header, a JSON chunk
padded with spaces and a binary chunk padded with zeros, every buffer view aligned to 4 bytes.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

import struct
import sys
from array import array

import msgspec

from fal_emulator.relief import Relief

_FLOAT, _UNSIGNED_SHORT = 5126, 5123
_POINTS = 0
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_TIMES = array("f", (0.0, 0.5, 1.0))
_STEPS = array("f", (0, 0, 0, 0, 0.25, 0, 0, 0, 0))
_KEYFRAMES: list[dict[str, object]] = [
    {"bufferView": 5, "componentType": _FLOAT, "count": 3, "type": "SCALAR", "min": [0.0], "max": [1.0]},
    {"bufferView": 6, "componentType": _FLOAT, "count": 3, "type": "VEC3"},
]
_ANIMATION = {
    "name": "step",
    "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
    "samplers": [{"input": 4, "output": 5, "interpolation": "LINEAR"}],
}
_JSON_CHUNK, _BIN_CHUNK = 0x4E4F534A, 0x004E4942


def little_endian(values: array[float] | array[int]) -> bytes:
    """The array's bytes in the byte order that glTF, PLY and STL files have."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def write_glb(relief: Relief, *, points: bool = False, bounds: bool = True, animated: bool = False) -> bytes:
    """The whole .glb file. `points`: the vertices alone, as a Gaussian splat in glTF is; without `bounds` the
    positions have no min and max, which the specification asks for and some writers leave out; `animated`: it
    steps up and down."""
    flat = relief.lattice
    views = _Views()
    views.add(little_endian(relief.positions), _ARRAY_BUFFER)
    views.add(little_endian(relief.normals), _ARRAY_BUFFER)
    views.add(little_endian(flat.uvs), _ARRAY_BUFFER)
    views.add(little_endian(flat.triangles), _ELEMENT_ARRAY_BUFFER)
    views.add(relief.jpeg, None)
    if animated:
        views.add(little_endian(_TIMES), None)
        views.add(little_endian(_STEPS), None)
    document = _document(relief, views)
    if animated:
        document |= {"animations": [_ANIMATION], "accessors": [*_accessors(relief), *_KEYFRAMES]}
    if points:
        document["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1}, "mode": _POINTS}]}]
    if not bounds:
        document["accessors"] = [_unbounded(accessor) for accessor in _accessors(relief)]
    return _container(msgspec.json.encode(document), b"".join(views.parts))


def _unbounded(accessor: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in accessor.items() if name not in {"min", "max"}}


class _Views:
    """The buffer views so far, and the padded bytes behind them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.rows: list[dict[str, int]] = []
        self.length = 0

    def add(self, data: bytes, target: int | None) -> None:
        row = {"buffer": 0, "byteOffset": self.length, "byteLength": len(data)}
        if target is not None:
            row["target"] = target
        padded = data + bytes(-len(data) % 4)
        self.rows.append(row)
        self.parts.append(padded)
        self.length += len(padded)


def _document(relief: Relief, views: _Views) -> dict[str, object]:
    return {
        "asset": {"version": "2.0", "generator": "fal_emulator", "extras": {"mark": relief.mark}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "relief"}],
        "meshes": [{"primitives": [_primitive()]}],
        "materials": [_material()],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": 4, "mimeType": "image/jpeg"}],
        "accessors": _accessors(relief),
        "bufferViews": views.rows,
        "buffers": [{"byteLength": views.length}],
    }


def _primitive() -> dict[str, object]:
    return {"attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}, "indices": 3, "material": 0}


def _material() -> dict[str, object]:
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"pbrMetallicRoughness": surface, "doubleSided": True}


def _accessors(relief: Relief) -> list[dict[str, object]]:
    flat = relief.lattice
    count = len(flat.uvs) // 2
    first, last = flat.positions[:2], flat.positions[-3:-1]
    vectors = {"componentType": _FLOAT, "count": count, "type": "VEC3"}
    return [
        {
            "bufferView": 0,
            **vectors,
            "min": [first[0], last[1], _float32(relief.low)],
            "max": [last[0], first[1], _float32(relief.high)],
        },
        {"bufferView": 1, **vectors},
        {"bufferView": 2, "componentType": _FLOAT, "count": count, "type": "VEC2"},
        {
            "bufferView": 3,
            "componentType": _UNSIGNED_SHORT,
            "count": len(flat.triangles),
            "type": "SCALAR",
        },
    ]


def _float32(value: float) -> float:
    """The bounds must equal the stored values, which are float32."""
    return array("f", (value,))[0]


def _container(document: bytes, binary: bytes) -> bytes:
    document += b" " * (-len(document) % 4)
    total = 12 + 8 + len(document) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<II", len(document), _JSON_CHUNK),
            document,
            struct.pack("<II", len(binary), _BIN_CHUNK),
            binary,
        )
    )
