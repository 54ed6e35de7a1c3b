"""Writes a relief in the formats besides glTF that endpoints offer: OBJ, STL, FBX, and a Gaussian splat.

Called in a worker thread, seldom: these are the files of special parameters, so they are written plainly.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

import struct
from collections.abc import Iterable

from PIL import Image

from fal_emulator.relief import DEPTH, Lattice, Relief

_SH_0 = 0.28209479177387814
"""The constant spherical harmonic: a splat stores (colour - 0.5) / this."""

_SPLAT_FIELDS = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"


def _points(relief: Relief) -> list[tuple[float, float, float]]:
    flat = relief.positions
    return list(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


def _texture_points(flat: Lattice) -> list[tuple[float, float]]:
    """u, v with v upwards, as OBJ and FBX have it."""
    return [(u, 1 - v) for u, v in zip(flat.uvs[0::2], flat.uvs[1::2], strict=True)]


def write_obj(relief: Relief) -> bytes:
    """Wavefront OBJ: triangles with texture coordinates and normals."""
    normals = relief.normals
    lines = [f"v {x:.6g} {y:.6g} {z:.6g}" for x, y, z in _points(relief)]
    lines += [f"vt {u:.6g} {v:.6g}" for u, v in _texture_points(relief.lattice)]
    lines += [
        f"vn {x:.6g} {y:.6g} {z:.6g}"
        for x, y, z in zip(normals[0::3], normals[1::3], normals[2::3], strict=True)
    ]
    indices = [f"{i + 1}/{i + 1}/{i + 1}" for i in relief.lattice.triangles]
    lines += [f"f {a} {b} {c}" for a, b, c in zip(indices[0::3], indices[1::3], indices[2::3], strict=True)]
    return ("\n".join(lines) + "\n").encode()


def write_stl(relief: Relief) -> bytes:
    """Binary STL; a normal of zeros tells the reader to compute it."""
    points, indices = _points(relief), relief.lattice.triangles
    corners = zip(indices[0::3], indices[1::3], indices[2::3], strict=True)
    faces = [struct.pack("<12fH", 0, 0, 0, *points[a], *points[b], *points[c], 0) for a, b, c in corners]
    return b"fal_emulator".ljust(80) + struct.pack("<I", len(faces)) + b"".join(faces)


def write_fbx(relief: Relief) -> bytes:
    """ASCII FBX 7.4 of quads: the last index of a polygon is stored as its complement."""
    flat = relief.lattice
    points = [value for point in _points(relief) for value in point]
    polygons = [i for a, b, c, d in flat.corners for i in (a, b, c, ~d)]
    uvs = [value for point in _texture_points(flat) for value in point]
    uv_indices = [i for corner in flat.corners for i in corner]
    geometry = "\n".join(
        (
            _fbx_array("Vertices", points),
            _fbx_array("PolygonVertexIndex", polygons),
            "\t\tGeometryVersion: 124",
            _fbx_layer("LayerElementNormal", "ByVertice", "Direct", _fbx_array("Normals", relief.normals)),
            _fbx_layer(
                "LayerElementUV",
                "ByPolygonVertex",
                "IndexToDirect",
                _fbx_array("UV", uvs) + "\n" + _fbx_array("UVIndex", uv_indices),
            ),
            _FBX_LAYER_TABLE,
        )
    )
    return (_FBX_HEAD + geometry + _FBX_TAIL).encode()


def _fbx_array(name: str, values: Iterable[float]) -> str:
    items = [f"{value:.6g}" for value in values]
    return f"\t\t{name}: *{len(items)} {{\n\t\t\ta: {','.join(items)}\n\t\t}}"


def _fbx_layer(kind: str, mapping: str, reference: str, body: str) -> str:
    return (
        f'\t\t{kind}: 0 {{\n\t\t\tVersion: 101\n\t\t\tName: ""\n'
        f'\t\t\tMappingInformationType: "{mapping}"\n'
        f'\t\t\tReferenceInformationType: "{reference}"\n{body}\n\t\t}}'
    )


_FBX_HEAD = """; FBX 7.4.0 project file
FBXHeaderExtension:  {
	FBXHeaderVersion: 1003
	FBXVersion: 7400
	Creator: "fal_emulator"
}
GlobalSettings:  {
	Version: 1000
	Properties70:  {
		P: "UpAxis", "int", "Integer", "",1
		P: "UpAxisSign", "int", "Integer", "",1
		P: "FrontAxis", "int", "Integer", "",2
		P: "FrontAxisSign", "int", "Integer", "",1
		P: "CoordAxis", "int", "Integer", "",0
		P: "CoordAxisSign", "int", "Integer", "",1
		P: "UnitScaleFactor", "double", "Number", "",100
	}
}
Definitions:  {
	Version: 100
	Count: 2
	ObjectType: "Geometry" {
		Count: 1
	}
	ObjectType: "Model" {
		Count: 1
	}
}
Objects:  {
	Geometry: 1001, "Geometry::relief", "Mesh" {
"""

_FBX_LAYER_TABLE = """\t\tLayer: 0 {
			Version: 100
			LayerElement:  {
				Type: "LayerElementNormal"
				TypedIndex: 0
			}
			LayerElement:  {
				Type: "LayerElementUV"
				TypedIndex: 0
			}
		}"""

_FBX_TAIL = """
	}
	Model: 1002, "Model::relief", "Mesh" {
		Version: 232
	}
}
Connections:  {
	C: "OO",1002,0
	C: "OO",1001,1002
}
"""


def write_splat(relief: Relief, texture: Image.Image) -> bytes:
    """A Gaussian splat as binary PLY: one flat splat on each vertex, in the picture's colour."""
    flat = relief.lattice
    colours = texture.resize((flat.columns + 1, flat.rows + 1)).tobytes()
    points = _points(relief)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {name}\n" for name in _SPLAT_FIELDS.split()) + "end_header\n"
    scale = (-4.0, -4.0, -6.0)  # natural logarithms of the radii
    rows = []
    for at, point in enumerate(points):
        colour = ((value / 255 - 0.5) / _SH_0 for value in colours[3 * at : 3 * at + 3])
        rows.append(struct.pack("<14f", *point, *colour, DEPTH * 8, *scale, 1, 0, 0, 0))
    return header.encode() + b"".join(rows)
