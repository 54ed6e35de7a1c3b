"""Writes a relief's vertices as Gaussian splats in the two common formats: `.splat` and `.spz`.

Called in a worker thread, for the fault `unknown_format` alone.
"""

import gzip
import struct

from PIL import Image

from fal_emulator.formats import points_of
from fal_emulator.relief import Relief

_RADIUS = 0.02
_SPZ_MAGIC, _SPZ_VERSION, _FRACTION_BITS = 0x5053474E, 2, 12


def write_antimatter_splat(relief: Relief, texture: Image.Image) -> bytes:
    """`.splat`: 32 bytes each and no header: position and scale as floats, colour and rotation as bytes."""
    colours = _colours(relief, texture)
    rows = []
    for at, point in enumerate(points_of(relief)):
        red, green, blue = colours[3 * at : 3 * at + 3]
        scale = (_RADIUS, _RADIUS, _RADIUS)
        rows.append(struct.pack("<6f8B", *point, *scale, red, green, blue, 255, 255, 128, 128, 128))
    return b"".join(rows)


def write_spz(relief: Relief, texture: Image.Image) -> bytes:
    """`.spz` version 2: gzip around a header and one run of bytes for each attribute."""
    points, colours = points_of(relief), _colours(relief, texture)
    count = len(points)
    head = struct.pack("<IIIBBBB", _SPZ_MAGIC, _SPZ_VERSION, count, 0, _FRACTION_BITS, 0, 0)
    fixed = (round(value * (1 << _FRACTION_BITS)) for point in points for value in point)
    positions = b"".join(value.to_bytes(3, "little", signed=True) for value in fixed)
    alphas, scales, rotations = bytes([255]) * count, bytes([96]) * 3 * count, bytes([128]) * 3 * count
    return gzip.compress(head + positions + alphas + colours + scales + rotations, 1, mtime=0)


def _colours(relief: Relief, texture: Image.Image) -> bytes:
    flat = relief.lattice
    return texture.resize((flat.columns + 1, flat.rows + 1)).tobytes()
