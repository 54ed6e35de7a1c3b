"""Turns a picture into a textured relief: a height field whose heights are the picture's luminance.

Called in a worker thread. Everything that depends only on the grid is made once and kept, and what depends
on the picture is done by Pillow and `array`, because a benchmark asks for fifty models a second on a core
that it shares. The mesh lies in the x-y plane, y up, and rises towards +z.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

import io
from array import array
from functools import lru_cache
from math import sqrt

import msgspec
from PIL import Image

from fal_emulator.picture import Picture

DEPTH = 0.25
"""Height of white above black; the long side of the relief is 1."""

_FLATTEST = 1 / 64
"""Shortest side, so that a 1 x 5000 picture still makes triangles with an area."""

_HEIGHTS = tuple(value / 255 * DEPTH for value in range(256))


class Lattice(msgspec.Struct, frozen=True):
    """What all reliefs of one grid and size share; `corners` are each cell's vertices, anticlockwise."""

    columns: int
    rows: int
    width: float
    height: float
    positions: array[float]
    uvs: array[float]
    triangles: array[int]
    corners: tuple[tuple[int, int, int, int], ...]


class Relief(msgspec.Struct, frozen=True):
    """Vertex buffers as float32 arrays (x, y, z and u, v interleaved), and the JPEG on it.

    `mark` goes into every format that has a place for words.
    """

    lattice: Lattice
    positions: array[float]
    normals: array[float]
    low: float
    high: float
    jpeg: bytes
    mark: str


def grid_for(width: int, height: int, cells: int, limit: int | None) -> tuple[int, int]:
    """Columns and rows: `cells` on the long side, square cells, at most `limit` triangles."""
    columns, rows = _cells(width, height, cells)
    while limit is not None and 2 * columns * rows > max(limit, 2):
        cells = min(cells - 1, int(cells * sqrt(limit / (2 * columns * rows))))
        columns, rows = _cells(width, height, cells)
    return columns, rows


def _cells(width: int, height: int, cells: int) -> tuple[int, int]:
    long = max(width, height)
    return max(1, round(cells * width / long)), max(1, round(cells * height / long))


@lru_cache(maxsize=128)
def lattice(columns: int, rows: int, width: float, height: float) -> Lattice:
    """The flat grid of `columns` x `rows` cells, `width` x `height` units."""
    positions, uvs = array("f"), array("f")
    for row in range(rows + 1):
        for column in range(columns + 1):
            u, v = column / columns, row / rows
            positions.extend((width * (u - 0.5), height * (0.5 - v), 0.0))
            uvs.extend((u, v))
    corners = tuple(_corners(columns, rows))
    triangles = array("H", (i for a, b, c, d in corners for i in (a, b, c, a, c, d)))
    return Lattice(columns, rows, width, height, positions, uvs, triangles, corners)


def _corners(columns: int, rows: int) -> list[tuple[int, int, int, int]]:
    stride = columns + 1
    starts = (row * stride + column for row in range(rows) for column in range(columns))
    return [(at, at + stride, at + stride + 1, at + 1) for at in starts]


def make_relief(
    picture: Picture, cells: int, limit: int | None, *, shape: Picture | None, mark: str
) -> Relief:
    """The relief of a picture: `cells` on its long side, at most `limit` triangles (at least 2).

    With a `shape`, the relief is that one's, and the picture is only its texture.
    """
    form = shape or picture
    columns, rows = grid_for(form.width, form.height, cells, limit)
    long = max(form.width, form.height)
    width = max(_FLATTEST, round(form.width / long, 3))
    height = max(_FLATTEST, round(form.height / long, 3))
    flat = lattice(columns, rows, width, height)
    grey = form.texture.resize((columns + 1, rows + 1), Image.Resampling.BILINEAR).convert("L").tobytes()
    positions = array("f", flat.positions)
    positions[2::3] = array("f", map(_HEIGHTS.__getitem__, grey))
    return Relief(
        lattice=flat,
        positions=positions,
        normals=_normals(grey, flat),
        low=_HEIGHTS[min(grey)],
        high=_HEIGHTS[max(grey)],
        jpeg=_jpeg(picture.texture),
        mark=mark,
    )


def _normals(grey: bytes, flat: Lattice) -> array[float]:
    """Unit normals from central differences: the surface z(x, y) has the normal (-dz/dx, -dz/dy, 1)."""
    stride = flat.columns + 1
    east, west = grey[1:] + grey[-1:], grey[:1] + grey[:-1]
    north, south = grey[:stride] + grey[:-stride], grey[stride:] + grey[-stride:]
    across = DEPTH / 255 * flat.columns / (2 * flat.width)
    along = DEPTH / 255 * flat.rows / (2 * flat.height)
    normals: list[float] = []
    for e, w, n, s in zip(east, west, north, south, strict=True):
        x, y = (w - e) * across, (s - n) * along
        z = 1 / sqrt(x * x + y * y + 1)
        normals += (x * z, y * z, z)
    return array("f", normals)


def _jpeg(texture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    texture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
