"""Colour profiles for what a PNG says of its colours without one: its `cICP`, `gAMA` and `cHRM` chunks.

Each becomes an ICC profile, so the pixels are converted by the same code as those with a profile. What counts
is what Chromium shows. Sources: ITU-T H.273 (code points), ICC.1:2010 (profiles), the W3C's PNG
specification (chunks and their order), ITU-R BT.2100 and BT.2408 (PQ, HLG). Pure: no I/O.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

Curve = Callable[[float], float]
"""A stored value to light, both 0 to 1."""
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
Vector = tuple[float, float, float]

_D65: Final = (0.3127, 0.3290)
_C: Final = (0.310, 0.316)
_SRGB: Final[Chromaticities] = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
PRIMARIES: Final[dict[int, Chromaticities]] = {
    1: _SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""By H.273's ColourPrimaries."""
BT2020: Final = 9
SRGB: Final = (1, 13)
"""H.273's code points of sRGB: primaries and transfer."""
_POINTS: Final = 4096
_LIKE_SRGB: Final = 0.05
"""A `gAMA` so near to 1/2.2 means sRGB, as its writers mean it."""
_BRADFORD: Final[Matrix] = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
_D50: Final[Vector] = (0.9642, 1.0, 0.8249)


def _power(exponent: float) -> Curve:
    return lambda value: value**exponent


def _piecewise(linear_below: float, slope: float, offset: float, exponent: float) -> Curve:
    def curve(value: float) -> float:
        if value < linear_below:
            return value / slope
        return float(((value + offset) / (1 + offset)) ** exponent)

    return curve


_SRGB_CURVE: Final = _piecewise(0.04045, 12.92, 0.055, 2.4)
_BT709: Final = _power(2.4)
"""As it is shown: by BT.1886, not by the inverse of a camera's curve."""
_CURVES: Final[dict[int, Curve]] = {
    1: _BT709,
    4: _power(2.2),
    5: _power(2.8),
    6: _BT709,
    7: _piecewise(0.0913, 4.0, 0.1115, 1 / 0.45),
    8: _power(1.0),
    11: _BT709,
    13: _SRGB_CURVE,
    14: _BT709,
    15: _BT709,
    17: lambda value: min(1.0, 52.37 / 48 * value**2.6),
}
"""By H.273's TransferCharacteristics; browsers take those that are missing here for sRGB."""


@lru_cache(maxsize=16)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """The profile of a `cICP` chunk with RGB values; None where it means sRGB, or nobody knows."""
    chromaticities, curve = PRIMARIES.get(primaries), _CURVES.get(transfer)
    if chromaticities is None or curve is None or (primaries, transfer) == SRGB:
        return None
    return _profile(chromaticities, curve)


@lru_cache(maxsize=16)
def gamma_profile(gamma: float, chromaticities: Chromaticities | None) -> bytes | None:
    """The profile of a `gAMA` chunk (the exponent from light to values) and a `cHRM` chunk, if there is one.

    None where they mean sRGB, or nothing.
    """
    if gamma <= 0:
        return None
    if chromaticities is None and abs(gamma * 2.2 - 1) <= _LIKE_SRGB:
        return None
    try:
        return _profile(chromaticities or _SRGB, _power(1 / gamma))
    except (ZeroDivisionError, struct.error):
        return None  # no triangle: as viewers do, it is ignored


def between(source: Chromaticities, target: Chromaticities) -> Matrix:
    """The matrix from linear RGB of one set of primaries to another's."""
    return _multiply(_inverse(_to_d50(target)), _to_d50(source))


def encode_srgb(light: float) -> float:
    """The sRGB value of light, both 0 to 1; what is outside is cut off."""
    light = min(1.0, max(0.0, light))
    return light * 12.92 if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


def _profile(chromaticities: Chromaticities, curve: Curve) -> bytes:
    """An ICC profile, version 2: a curve for each channel and a matrix."""
    points = [round(65535 * min(1.0, max(0.0, curve(index / (_POINTS - 1))))) for index in range(_POINTS)]
    shape = struct.pack(f">4s4xI{_POINTS}H", b"curv", _POINTS, *points)
    name = b"from the PNG's chunks\x00"
    text = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    tags = [(b"desc", text), (b"cprt", b"text" + bytes(4) + b"none\x00"), (b"wtpt", _xyz(_D50))]
    columns = _transposed(_to_d50(chromaticities))
    tags += [(name, _xyz(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)]
    tags += [(name, shape) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _packed(tags)


def _packed(tags: list[tuple[bytes, bytes]]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    placed: dict[bytes, int] = {}
    for name, content in tags:
        if content not in placed:
            placed[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", placed[content], len(content))
    head = struct.pack(
        ">I4xI4s4s4s12x4s20x", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )  # fmt: skip
    head = head.ljust(64, b"\x00") + struct.pack(">I", 1) + _xyz(_D50)[8:]
    return head.ljust(128, b"\x00") + table + body


def _xyz(values: Vector) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def _to_d50(chromaticities: Chromaticities) -> Matrix:
    """The matrix from linear RGB to XYZ, adapted to the profile's white."""
    white, *corners = (_of_xy(*chromaticities[i : i + 2]) for i in range(0, 8, 2))
    unscaled = _transposed((corners[0], corners[1], corners[2]))
    scale = apply(_inverse(unscaled), white)
    scaled = _map(unscaled, lambda _row, column, value: value * scale[column])
    source, target = apply(_BRADFORD, white), apply(_BRADFORD, _D50)
    adapted = _map(_BRADFORD, lambda row, _column, value: value * target[row] / source[row])
    return _multiply(_multiply(_inverse(_BRADFORD), adapted), scaled)


def _of_xy(x: float, y: float) -> Vector:
    """XYZ of a chromaticity, at Y = 1; one without light of its own (y = 0) keeps its direction."""
    return (x / y, 1.0, (1 - x - y) / y) if y else (x, 0.0, 1 - x)


def _map(matrix: Matrix, change: Callable[[int, int, float], float]) -> Matrix:
    first, second, third = (
        (change(row, 0, values[0]), change(row, 1, values[1]), change(row, 2, values[2]))
        for row, values in enumerate(matrix)
    )
    return first, second, third


def _transposed(matrix: tuple[Vector, Vector, Vector]) -> Matrix:
    return _map(matrix, lambda row, column, _value: matrix[column][row])


def apply(matrix: Matrix, vector: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = _transposed(right)
    return _transposed((apply(left, columns[0]), apply(left, columns[1]), apply(left, columns[2])))


def _inverse(matrix: Matrix) -> Matrix:
    """Raises ZeroDivisionError where there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return _map(cofactors, lambda _row, _column, value: value / determinant)
