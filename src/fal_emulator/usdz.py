"""Writes a relief as USDZ: a text layer and its texture in a ZIP without compression.

Called in a worker thread. After USD's specification of the package: the first file is the layer, and the
data of each file begins at a multiple of 64 bytes, which a field in its header pads.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

import io
import struct
import zipfile
from collections.abc import Iterable

from fal_emulator.formats import points_of, texture_points
from fal_emulator.relief import Relief

_ALIGNMENT = 64
_LOCAL_HEADER = 30
_PADDING_FIELD = 0x1986
_TEXTURE = "texture.jpg"

_LAYER = """#usda 1.0
(
    defaultPrim = "Relief"
    doc = "{mark}"
    metersPerUnit = 1
    upAxis = "Y"
)

def Xform "Relief"
{{
    def Mesh "Mesh" (
        prepend apiSchemas = ["MaterialBindingAPI"]
    )
    {{
        uniform token subdivisionScheme = "none"
        int[] faceVertexCounts = [{counts}]
        int[] faceVertexIndices = [{indices}]
        point3f[] points = [{points}]
        normal3f[] normals = [{normals}] (interpolation = "vertex")
        texCoord2f[] primvars:st = [{uvs}] (interpolation = "vertex")
        rel material:binding = </Relief/Material>
    }}

    def Material "Material"
    {{
        token outputs:surface.connect = </Relief/Material/Surface.outputs:surface>

        def Shader "Surface"
        {{
            uniform token info:id = "UsdPreviewSurface"
            color3f inputs:diffuseColor.connect = </Relief/Material/Texture.outputs:rgb>
            float inputs:roughness = 0.8
            token outputs:surface
        }}

        def Shader "Texture"
        {{
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @{texture}@
            float2 inputs:st.connect = </Relief/Material/Coordinates.outputs:result>
            float3 outputs:rgb
        }}

        def Shader "Coordinates"
        {{
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }}
    }}
}}
"""


def write_usdz(relief: Relief) -> bytes:
    """The whole .usdz file."""
    flat, normals = relief.lattice, relief.normals
    layer = _LAYER.format(
        counts=", ".join(["3"] * (len(flat.triangles) // 3)),
        indices=", ".join(map(str, flat.triangles)),
        points=_tuples(points_of(relief)),
        normals=_tuples(zip(normals[0::3], normals[1::3], normals[2::3], strict=True)),
        uvs=_tuples(texture_points(flat)),
        texture=_TEXTURE,
        mark=relief.mark,
    )
    return _package({"model.usda": layer.encode(), _TEXTURE: relief.jpeg})


def _tuples(values: Iterable[tuple[float, ...]]) -> str:
    return ", ".join(f"({', '.join(f'{number:.6g}' for number in value)})" for value in values)


def _package(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.extra = _padding(buffer.tell() + _LOCAL_HEADER + len(name))
            package.writestr(entry, data)
    return buffer.getvalue()


def _padding(at: int) -> bytes:
    """The header's field that moves data from `at` to the next multiple of 64: at least its own 4 bytes."""
    length = -at % _ALIGNMENT
    if 0 < length < struct.calcsize("<HH"):
        length += _ALIGNMENT
    return struct.pack("<HH", _PADDING_FIELD, length - 4) + bytes(length - 4) if length else b""
