"""Reads the container of a GLB, piece by piece, and decodes its JSON document leniently.

Only the JSON is kept, never the meshes' bytes. Unknown fields are ignored; defaults are those of the Khronos
glTF 2.0 specification.
"""

import struct
from typing import Final

import msgspec

COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
# Largest value of a normalized component: KHR_mesh_quantization stores positions as integers.
NORMALIZED_MAX = {5120: 127.0, 5121: 255.0, 5122: 32767.0, 5123: 65535.0}
TYPE_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
MAGIC: Final = b"glTF"
MAX_JSON_BYTES: Final = 32 << 20
"""A larger JSON chunk is not kept, and its model not measured."""
_JSON, _BIN = b"JSON", b"BIN\x00"
_HEAD, _CHUNK_HEAD = 20, 8
# A buffer view may name packed bytes elsewhere; its own length is then that of the unpacked data.
_PACKED = ("EXT_meshopt_compression", "KHR_meshopt_compression")


class NotMeasured(Exception):
    """A model's numbers cannot be known; the message says why. `truncated`: bytes of it are missing."""

    def __init__(self, reason: str, *, truncated: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.truncated = truncated


Vector = tuple[float, float, float]
Matrix = tuple[float, ...]
_Index = int | None


class _GltfObject(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Buffer(_GltfObject, frozen=True):
    byte_length: int
    uri: str | None = None
    extensions: dict[str, msgspec.Raw] = {}


class BufferView(_GltfObject, frozen=True):
    buffer: int
    byte_length: int
    byte_offset: int = 0
    byte_stride: _Index = None
    extensions: dict[str, msgspec.Raw] = {}


class Accessor(_GltfObject, frozen=True):
    component_type: int
    count: int
    type: str
    buffer_view: _Index = None
    byte_offset: int = 0
    normalized: bool = False
    min: list[float] | None = None
    max: list[float] | None = None


class Primitive(_GltfObject, frozen=True):
    attributes: dict[str, int]
    indices: _Index = None
    mode: int = 4


class Mesh(_GltfObject, frozen=True):
    primitives: list[Primitive]


class Node(_GltfObject, frozen=True):
    mesh: _Index = None
    children: list[int] = []
    matrix: Matrix | None = None
    translation: Vector = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    scale: Vector = (1.0, 1.0, 1.0)


class Scene(_GltfObject, frozen=True):
    nodes: list[int] = []


class Document(_GltfObject, frozen=True):
    buffers: list[Buffer] = []
    buffer_views: list[BufferView] = []
    accessors: list[Accessor] = []
    meshes: list[Mesh] = []
    nodes: list[Node] = []
    scenes: list[Scene] = []
    scene: _Index = None
    textures: list[msgspec.Raw] = []


class _PackedView(msgspec.Struct, rename="camel"):
    buffer: int
    byte_length: int
    byte_offset: int = 0


_document: Final = msgspec.json.Decoder(Document)
_packed_view: Final = msgspec.json.Decoder(_PackedView)


class GlbReader:
    """Takes the bytes of a GLB in pieces of any size."""

    def __init__(self) -> None:
        self.received = 0
        self._kept = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        self.received += len(data)
        missing = self._bytes_to_keep() - len(self._kept)
        while missing > 0 and len(data):
            part = data[:missing]
            self._kept += part
            data = data[len(part) :]
            missing = self._bytes_to_keep() - len(self._kept)

    def _bytes_to_keep(self) -> int:
        """How many bytes to keep from the start: up to the header of the second chunk."""
        if len(self._kept) < _HEAD:
            return _HEAD
        return _HEAD + min(self._json_length, MAX_JSON_BYTES) + _CHUNK_HEAD

    @property
    def _json_length(self) -> int:
        return int.from_bytes(self._kept[12:16], "little")

    @property
    def json_length(self) -> int:
        """Bytes of the JSON that were kept."""
        return max(len(self._kept) - _HEAD, 0)

    @property
    def announced(self) -> int | None:
        """The length in the file's header; None before the header has come."""
        return struct.unpack_from("<I", self._kept, 8)[0] if len(self._kept) >= 12 else None

    def document(self) -> Document:
        """The document of a GLB whose every accessor lies inside its data. Raises NotMeasured."""
        document, binary = self._open()
        lengths = [_available(document, number, binary) for number in range(len(document.buffers))]
        for number, view in enumerate(document.buffer_views):
            _check_view(number, view, lengths)
        for number, accessor in enumerate(document.accessors):
            _check_accessor(number, accessor, document.buffer_views)
        return document

    def _open(self) -> tuple[Document, int | None]:
        head = bytes(self._kept[:_HEAD])
        if head[:4] != MAGIC:
            raise NotMeasured("it does not begin with glTF")
        if len(head) < _HEAD:
            raise NotMeasured("it ends inside its header", truncated=True)
        version, announced = struct.unpack_from("<II", head, 4)
        if version != 2:
            raise NotMeasured(f"it is of version {version}, not 2")
        if announced > self.received:
            raise NotMeasured(
                f"its header announces {announced:,} bytes, and it has {self.received:,}", truncated=True
            )
        if head[16:20] != _JSON:
            raise NotMeasured("its first chunk is not JSON")
        return self._chunks(announced)

    def _chunks(self, announced: int) -> tuple[Document, int | None]:
        length = self._json_length
        end = _HEAD + length
        if end > announced:
            raise NotMeasured("a chunk reaches past its end")
        if length > MAX_JSON_BYTES:
            raise NotMeasured(f"its JSON of {length:,} bytes is too large to be read")
        try:
            document = _document.decode(self._kept[_HEAD:end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotMeasured(f"its JSON cannot be read ({error})") from error
        if end + _CHUNK_HEAD > announced:
            return document, None
        binary, kind = struct.unpack_from("<I4s", self._kept, end)
        if end + _CHUNK_HEAD + binary > announced:
            raise NotMeasured("a chunk reaches past its end")
        return document, binary if kind == _BIN else None


def _available(document: Document, number: int, binary: int | None) -> int:
    """How many bytes a buffer really has."""
    buffer = document.buffers[number]
    if buffer.uri is not None and not buffer.uri.startswith("data:"):
        raise NotMeasured(f"buffer {number} is in another file")
    if number > 0 or buffer.uri is not None or any(name in buffer.extensions for name in _PACKED):
        return buffer.byte_length
    if binary is None or not 0 <= buffer.byte_length <= binary:
        raise NotMeasured(f"its buffer announces {buffer.byte_length:,} bytes, and has {binary or 0:,}")
    return buffer.byte_length


def _check_view(number: int, view: BufferView, lengths: list[int]) -> None:
    packed = next((view.extensions[name] for name in _PACKED if name in view.extensions), None)
    try:
        part = view if packed is None else _packed_view.decode(packed)
    except msgspec.DecodeError as error:
        raise NotMeasured(f"buffer view {number} cannot be read ({error})") from error
    inside = 0 <= part.buffer < len(lengths) and part.byte_offset >= 0 and part.byte_length >= 0
    if not inside or part.byte_offset + part.byte_length > lengths[part.buffer]:
        raise NotMeasured(f"buffer view {number} lies outside its buffer")


def _check_accessor(number: int, accessor: Accessor, views: list[BufferView]) -> None:
    width = COMPONENT_BYTES.get(accessor.component_type), TYPE_COMPONENTS.get(accessor.type)
    if width[0] is None or width[1] is None or accessor.count < 1 or accessor.byte_offset < 0:
        raise NotMeasured(f"accessor {number} has no valid type or count")
    if accessor.buffer_view is None:
        return  # zeros, sparse, or packed by Draco inside the primitive
    if not 0 <= accessor.buffer_view < len(views):
        raise NotMeasured(f"accessor {number} has no buffer view")
    view = views[accessor.buffer_view]
    element = width[0] * width[1]
    needed = accessor.byte_offset + (accessor.count - 1) * (view.byte_stride or element) + element
    if needed > view.byte_length or (view.byte_stride or element) < element:
        raise NotMeasured(f"accessor {number} reaches past its buffer view")
