"""Writes a relief in the formats besides glTF that endpoints offer: OBJ and MTL, STL, and a Gaussian splat.

Called in a worker thread, seldom: these are the files of special parameters, so they are written plainly.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

import struct

from PIL import Image

from fal_emulator.relief import DEPTH, Lattice, Relief

_SH_0 = 0.28209479177387814
"""The constant spherical harmonic: a splat stores (colour - 0.5) / this."""

_MATERIAL = "relief"
_SPLAT_FIELDS = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"


def points_of(relief: Relief) -> list[tuple[float, float, float]]:
    """Each vertex' x, y, z."""
    flat = relief.positions
    return list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


def texture_points(flat: Lattice) -> list[tuple[float, float]]:
    """u, v with v upwards, as OBJ and FBX have it."""
    return [(u, 1 - v) for u, v in zip(flat.uvs[0::2], flat.uvs[1::2], strict=True)]


def write_obj(relief: Relief, materials: str | None = None) -> bytes:
    """Wavefront OBJ: triangles with texture coordinates and normals; `materials` is the MTL file's name."""
    normals = relief.normals
    lines = [] if materials is None else [f"mtllib {materials}", f"usemtl {_MATERIAL}"]
    lines += [f"v {x:.6g} {y:.6g} {z:.6g}" for x, y, z in points_of(relief)]
    lines += [f"vt {u:.6g} {v:.6g}" for u, v in texture_points(relief.lattice)]
    lines += [
        f"vn {x:.6g} {y:.6g} {z:.6g}"
        for x, y, z in zip(normals[0::3], normals[1::3], normals[2::3], strict=True)
    ]
    indices = [f"{i + 1}/{i + 1}/{i + 1}" for i in relief.lattice.triangles]
    lines += [f"f {a} {b} {c}" for a, b, c in zip(indices[0::3], indices[1::3], indices[2::3], strict=True)]
    return ("\n".join([*lines, f"# {relief.mark}"]) + "\n").encode()


def write_mtl(texture: str) -> bytes:
    """The materials of an OBJ file: one, with the texture of this name."""
    return f"newmtl {_MATERIAL}\nKd 1 1 1\nmap_Kd {texture}\n".encode()


def write_stl(relief: Relief) -> bytes:
    """Binary STL; a normal of zeros tells the reader to compute it."""
    points, indices = points_of(relief), relief.lattice.triangles
    corners = zip(indices[0::3], indices[1::3], indices[2::3], strict=True)
    faces = [struct.pack("<12fH", 0, 0, 0, *points[a], *points[b], *points[c], 0) for a, b, c in corners]
    return (
        f"fal_emulator {relief.mark}".encode().ljust(80)[:80]
        + struct.pack("<I", len(faces))
        + b"".join(faces)
    )


def write_splat(relief: Relief, texture: Image.Image) -> bytes:
    """A Gaussian splat as binary PLY: one flat splat on each vertex, in the picture's colour."""
    flat = relief.lattice
    colours = texture.resize((flat.columns + 1, flat.rows + 1)).tobytes()
    points = points_of(relief)
    header = f"ply\nformat binary_little_endian 1.0\ncomment {relief.mark}\nelement vertex {len(points)}\n"
    header += "".join(f"property float {name}\n" for name in _SPLAT_FIELDS.split()) + "end_header\n"
    scale = (-4.0, -4.0, -6.0)  # natural logarithms of the radii
    rows = []
    for at, point in enumerate(points):
        colour = ((value / 255 - 0.5) / _SH_0 for value in colours[3 * at : 3 * at + 3])
        rows.append(struct.pack("<14f", *point, *colour, DEPTH * 8, *scale, 1, 0, 0, 0))
    return header.encode() + b"".join(rows)
