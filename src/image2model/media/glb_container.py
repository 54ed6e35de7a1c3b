"""The binary container of a GLB: header, JSON chunk, binary chunk, and that they fit together.

Only `glb` uses it. Source: the Khronos glTF 2.0 specification, "GLB File Format". It reads lengths and
the JSON; the binary chunk itself is never touched.
"""

import struct

import msgspec

from image2model.errors import ImageFailure
from image2model.media.gltf import COMPONENT_BYTES, TYPE_COMPONENTS, Accessor, BufferView, Document

MAGIC = b"glTF"
_JSON, _BIN = b"JSON", b"BIN\x00"
# A buffer view may have its bytes elsewhere, packed; its own length is then that of the unpacked data.
_PACKED = ("EXT_meshopt_compression", "KHR_meshopt_compression")


class _PackedView(msgspec.Struct, rename="camel"):
    buffer: int
    byte_length: int
    byte_offset: int = 0


def read_document(data: bytes | memoryview) -> Document:
    """The document of a whole GLB whose every accessor lies inside its data.

    Raises ImageFailure `result_invalid`: retryable where bytes are missing, else not.
    """
    document, binary = _open(memoryview(data))
    lengths = [_available(document, number, binary) for number in range(len(document.buffers))]
    for number, view in enumerate(document.buffer_views):
        _check_view(number, view, lengths)
    for number, accessor in enumerate(document.accessors):
        _check_accessor(number, accessor, document.buffer_views)
    return document


def invalid(reason: str, *, retryable: bool = False) -> ImageFailure:
    """The failure of a model file that cannot be used."""
    advice = "Download it again by a retry." if retryable else "Retry the image, or choose another model."
    return ImageFailure(
        "result_invalid", f"The model file is broken: {reason}. {advice}", retryable=retryable
    )


def _open(data: memoryview) -> tuple[Document, int | None]:
    if data[:4] != MAGIC:
        raise invalid("it does not begin with glTF")
    if len(data) < 20:
        raise invalid("it ends inside its header", retryable=True)
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise invalid(f"it is of version {version}, not 2")
    if length != len(data):
        reason = f"it says it has {length:,} bytes and has {len(data):,}"
        raise invalid(reason, retryable=length > len(data))
    return _chunks(data)


def _chunks(data: memoryview) -> tuple[Document, int | None]:
    kind, start, end = _chunk(data, 12)
    if kind != _JSON:
        raise invalid("its first chunk is not JSON")
    try:
        document = msgspec.json.decode(data[start:end], type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"its JSON cannot be read ({error})") from error
    if end + 8 > len(data):
        return document, None
    kind, start, end = _chunk(data, end)
    return document, end - start if kind == _BIN else None


def _chunk(data: memoryview, position: int) -> tuple[bytes, int, int]:
    length, kind = struct.unpack_from("<I4s", data, position)
    end = position + 8 + length
    if end > len(data):
        raise invalid("a chunk reaches past its end", retryable=True)
    return kind, position + 8, end


def _available(document: Document, number: int, binary: int | None) -> int:
    """How many bytes of a buffer are really there."""
    buffer = document.buffers[number]
    if buffer.uri is not None and not buffer.uri.startswith("data:"):
        raise invalid(f"buffer {number} is in another file")
    if number > 0 or buffer.uri is not None or any(name in buffer.extensions for name in _PACKED):
        return buffer.byte_length
    if binary is None or not 0 <= buffer.byte_length <= binary:
        raise invalid(f"its buffer wants {buffer.byte_length:,} bytes and has {binary or 0:,}")
    return buffer.byte_length


def _check_view(number: int, view: BufferView, lengths: list[int]) -> None:
    packed = next((view.extensions[name] for name in _PACKED if name in view.extensions), None)
    try:
        part = view if packed is None else msgspec.json.decode(packed, type=_PackedView)
    except msgspec.DecodeError as error:
        raise invalid(f"buffer view {number} cannot be read ({error})") from error
    inside = 0 <= part.buffer < len(lengths) and part.byte_offset >= 0 and part.byte_length >= 0
    if not inside or part.byte_offset + part.byte_length > lengths[part.buffer]:
        raise invalid(f"buffer view {number} lies outside its buffer")


def _check_accessor(number: int, accessor: Accessor, views: list[BufferView]) -> None:
    width = COMPONENT_BYTES.get(accessor.component_type), TYPE_COMPONENTS.get(accessor.type)
    if width[0] is None or width[1] is None or accessor.count < 1 or accessor.byte_offset < 0:
        raise invalid(f"accessor {number} has no valid type or count")
    if accessor.buffer_view is None:
        return  # zeros, sparse, or packed by Draco inside the primitive
    if not 0 <= accessor.buffer_view < len(views):
        raise invalid(f"accessor {number} has no buffer view")
    view = views[accessor.buffer_view]
    element = width[0] * width[1]
    needed = accessor.byte_offset + (accessor.count - 1) * (view.byte_stride or element) + element
    if needed > view.byte_length or (view.byte_stride or element) < element:
        raise invalid(f"accessor {number} reaches past its buffer view")
