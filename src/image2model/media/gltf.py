"""The parts of a glTF 2.0 document that `glb` measures, as Structs decoded leniently.

Only `glb` uses it. Unknown fields are ignored; defaults are those of the Khronos glTF 2.0 specification.
"""

import msgspec

Vector = tuple[float, float, float]
Matrix = tuple[float, ...]

COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
# Largest value of a normalized component: KHR_mesh_quantization stores positions as integers.
NORMALIZED_MAX = {5120: 127.0, 5121: 255.0, 5122: 32767.0, 5123: 65535.0}
TYPE_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}

_Index = int | None


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Buffer(_Part, frozen=True):
    byte_length: int
    uri: str | None = None
    extensions: dict[str, msgspec.Raw] = {}


class BufferView(_Part, frozen=True):
    buffer: int
    byte_length: int
    byte_offset: int = 0
    byte_stride: _Index = None
    extensions: dict[str, msgspec.Raw] = {}


class Accessor(_Part, frozen=True):
    component_type: int
    count: int
    type: str
    buffer_view: _Index = None
    byte_offset: int = 0
    normalized: bool = False
    min: list[float] | None = None
    max: list[float] | None = None


class Primitive(_Part, frozen=True):
    attributes: dict[str, int]
    indices: _Index = None
    mode: int = 4


class Mesh(_Part, frozen=True):
    primitives: list[Primitive]


class Node(_Part, frozen=True):
    mesh: _Index = None
    children: list[int] = []
    matrix: Matrix | None = None
    translation: Vector = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    scale: Vector = (1.0, 1.0, 1.0)


class Scene(_Part, frozen=True):
    nodes: list[int] = []


class Document(_Part, frozen=True):
    buffers: list[Buffer] = []
    buffer_views: list[BufferView] = []
    accessors: list[Accessor] = []
    meshes: list[Mesh] = []
    nodes: list[Node] = []
    scenes: list[Scene] = []
    scene: _Index = None
    textures: list[msgspec.Raw] = []
