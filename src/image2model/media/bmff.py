"""Reads the structure of a HEIC or AVIF: its boxes, never its pixels.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (items and their properties), ISO/IEC 23000-22 (the order
of crop, turn and mirror). Of several pictures the primary one counts. The number of boxes is bounded.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from image2model.errors import ImageTruncated, NotAnImage
from image2model.media.heads import AVIF_BRANDS, GENERIC_BRANDS, HEIC_BRANDS
from image2model.media.picture import PictureInfo, Span, picture_info

_PICTURES: Final = frozenset({b"hvc1", b"av01", b"grid", b"iovl", b"iden"})
_MAX_BOXES: Final = 4_096
_MAX_ITEMS: Final = 20_000
_ORIENTATIONS: Final = {
    (0, None): 1, (0, 1): 2, (2, None): 3, (0, 0): 4, (1, 0): 5, (3, None): 6, (1, 1): 7, (1, None): 8,
    (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5,
}  # fmt: skip
"""EXIF's orientation by quarter turns to the left, and the mirror that follows (0: top to bottom)."""

Kind = Literal["heic", "avif"]


class BmffLayout(msgspec.Struct, frozen=True):
    """The primary picture. `width` and `height` are as they are stored, before the turn.

    `colour` is the content of its `colr` box, empty without one. `pictures`: how many the file says it has.
    """

    kind: Kind
    width: int
    height: int
    orientation: int
    colour: bytes
    pictures: int


def kind_of(data: bytes | bytearray) -> Kind | None:
    """Whether the file says that it is a HEIC or an AVIF; None where it is something else."""
    if data[4:8] != b"ftyp":
        return None
    end = min(struct.unpack_from(">I", data)[0], 512, len(data))
    brands = [bytes(data[8:12]), *(bytes(data[at : at + 4]) for at in range(16, end - 3, 4))]
    if brands[0] in HEIC_BRANDS or (brands[0] in GENERIC_BRANDS and HEIC_BRANDS.intersection(brands)):
        return "heic"
    if brands[0] in AVIF_BRANDS or (brands[0] in GENERIC_BRANDS and AVIF_BRANDS.intersection(brands)):
        return "avif"
    return None


def inspect_bmff(data: bytes | bytearray) -> PictureInfo:
    """The primary picture of a file that is complete. Raises ImageTruncated or NotAnImage."""
    layout = read_bmff(data)
    return picture_info(
        layout.kind,
        layout.width,
        layout.height,
        orientation=layout.orientation,
        frames=layout.pictures,
    )


def read_bmff(data: bytes | bytearray) -> BmffLayout:
    """The primary picture's facts. Raises ImageTruncated or NotAnImage."""
    kind = kind_of(data)
    if kind is None:
        raise NotAnImage("The file is neither a HEIC nor an AVIF. Save the picture again.")
    top = dict(_boxes(data, 0, len(data)))
    meta = top.get(b"meta")
    if meta is None and b"moov" in top:
        raise NotAnImage(f"The {kind.upper()} holds a video. Send a picture.")
    if meta is None:
        raise ImageTruncated(
            f"The {kind.upper()} ends before it says what its picture is. Send the whole file."
        )
    parts = dict(_boxes(data, meta[0] + 4, meta[1]))
    try:
        primary = _primary(data, parts)
        properties = _properties(data, parts, primary)
        _check_extents(data, parts, primary, kind)
        pictures = _count_samples(data, top[b"moov"]) if b"moov" in top else _count_pictures(data, parts)
    except (struct.error, IndexError) as error:
        raise _damaged(kind) from error
    if b"ispe" not in properties:
        raise _damaged(kind)
    width, height = struct.unpack_from(">II", properties[b"ispe"], 4)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise NotAnImage(f"The {kind.upper()} says it is {width} × {height} pixels. Save the picture again.")
    width, height = _cropped(properties.get(b"clap"), width, height)
    turns = properties[b"irot"][0] & 3 if properties.get(b"irot") else 0
    mirror = properties[b"imir"][0] & 1 if properties.get(b"imir") else None
    return BmffLayout(
        kind,
        width,
        height,
        _ORIENTATIONS[turns, mirror],
        properties.get(b"colr", b""),
        pictures,
    )


def _boxes(data: bytes | bytearray, position: int, end: int) -> Iterator[tuple[bytes, Span]]:
    """The type of each box and the span of its content. The last of a type counts."""
    for _ in range(_MAX_BOXES):
        if position + 8 > end:
            if position != end:
                raise ImageTruncated("The picture ends inside a box. Send the whole file.")
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1:
            if start + 8 > end:
                raise ImageTruncated("The picture ends inside a box. Send the whole file.")
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        after = end if size == 0 else position + size
        if after < start:
            raise NotAnImage("The picture is damaged: a box has no valid size. Save the picture again.")
        if after > end:
            raise ImageTruncated("The picture ends inside one of its boxes. Send the whole file.")
        yield kind, (start, after)
        position = after
    raise NotAnImage(f"The picture has more than {_MAX_BOXES:,} boxes. Save it again.")


def _damaged(kind: Kind) -> NotAnImage:
    return NotAnImage(f"The {kind.upper()} is damaged: it does not say what its picture is. Save it again.")


def _primary(data: bytes | bytearray, parts: Mapping[bytes, Span]) -> int:
    start, _ = parts.get(b"pitm", (len(data), 0))
    wide = data[start] > 0
    (item,) = struct.unpack_from(">I" if wide else ">H", data, start + 4)
    return int(item)


def _properties(data: bytes | bytearray, parts: Mapping[bytes, Span], item: int) -> dict[bytes, bytes]:
    """The content of each property of an item, by its type."""
    container = dict(_boxes(data, *parts.get(b"iprp", (0, 0))))
    kept = [(kind, span) for kind, span in _boxes(data, *container.get(b"ipco", (0, 0)))]
    found: dict[bytes, bytes] = {}
    for index in _associated(data, container.get(b"ipma", (len(data), 0))[0], item):
        if not 0 < index <= len(kept):
            continue
        kind, (start, end) = kept[index - 1]
        # of several colours the profile counts, which the decoder gives
        if kind != b"colr" or data[start : start + 4] == b"nclx" or kind not in found:
            found[kind] = bytes(data[start : min(end, start + 64)])
    return found


def _associated(data: bytes | bytearray, start: int, item: int) -> Iterator[int]:
    """The numbers of an item's properties, from 1."""
    version, flags = data[start], int.from_bytes(data[start + 1 : start + 4], "big")
    (count,) = struct.unpack_from(">I", data, start + 4)
    position = start + 8
    for _ in range(min(count, _MAX_ITEMS)):
        if version:
            (found,) = struct.unpack_from(">I", data, position)
        else:
            (found,) = struct.unpack_from(">H", data, position)
        position += 4 if version else 2
        entries = data[position]
        position += 1
        step = 2 if flags & 1 else 1
        if found == item:
            for at in range(position, position + step * entries, step):
                number = int.from_bytes(data[at : at + step], "big")
                yield number & (0x7FFF if step == 2 else 0x7F)
            return
        position += step * entries


def _check_extents(data: bytes | bytearray, parts: Mapping[bytes, Span], item: int, kind: Kind) -> None:
    """Raises ImageTruncated where an item's bytes lie behind the end of the file."""
    start, _ = parts.get(b"iloc", (len(data), 0))
    version = data[start]
    sizes, more = data[start + 4], data[start + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version else 0
    wide = version == 2
    (count,) = struct.unpack_from(">I" if wide else ">H", data, start + 6)
    position = start + (10 if wide else 8)

    def number(size: int) -> int:
        nonlocal position
        position += size
        return int.from_bytes(data[position - size : position], "big")

    for _ in range(min(count, _MAX_ITEMS)):
        found = number(4 if wide else 2)
        method = number(2) & 15 if version else 0
        position += 2
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            end = base + number(offset_size) + number(length_size)
            if found == item and method == 0 and end > len(data):
                raise ImageTruncated(f"The {kind.upper()} ends inside its picture. Send the whole file.")


def _count_pictures(data: bytes | bytearray, parts: Mapping[bytes, Span]) -> int:
    """How many pictures stand by themselves: parts of a grid, masks and thumbnails belong to others."""
    start, end = parts.get(b"iinf", (0, 0))
    if end <= start:
        return 1
    parts_of_others = set(_parts_of_others(data, parts.get(b"iref")))
    count = 0
    for kind, (at, _) in _boxes(data, start + (8 if data[start] else 6), end):
        size = 4 if data[at] == 3 else 2
        item = int.from_bytes(data[at + 4 : at + 4 + size], "big")
        item_type = bytes(data[at + 6 + size : at + 10 + size])
        hidden = data[at + 3] & 1
        if kind == b"infe" and not hidden and item_type in _PICTURES and item not in parts_of_others:
            count += 1
    return max(1, count)


def _parts_of_others(data: bytes | bytearray, span: Span | None) -> Iterator[int]:
    if span is None:
        return
    size = 4 if data[span[0]] else 2
    for kind, (at, _) in _boxes(data, span[0] + 4, span[1]):
        count = int.from_bytes(data[at + size : at + size + 2], "big")
        if kind in (b"auxl", b"thmb"):
            yield int.from_bytes(data[at : at + size], "big")
        elif kind == b"dimg":
            for place in range(at + size + 2, at + size + 2 + size * count, size):
                yield int.from_bytes(data[place : place + size], "big")


def _count_samples(data: bytes | bytearray, moov: Span) -> int:
    """The pictures of a sequence: the samples of its first track."""
    span = moov
    for name in (b"trak", b"mdia", b"minf", b"stbl", b"stsz"):
        found = next((inner for kind, inner in _boxes(data, *span) if kind == name), None)
        if found is None:
            return 1
        span = found
    return max(1, int.from_bytes(data[span[0] + 8 : span[0] + 12], "big"))


def _cropped(clap: bytes | None, width: int, height: int) -> tuple[int, int]:
    if clap is None or len(clap) < 16:
        return width, height
    across, across_of, down, down_of = struct.unpack_from(">IIII", clap)
    if not (across_of and down_of):
        return width, height
    return min(width, max(1, across // across_of)), min(height, max(1, down // down_of))
