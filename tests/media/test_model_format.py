"""The format of a model, whatever its content type says."""

import io
import struct
import zipfile

import pytest

from image2model.media.model_probe import sniff_model
from tests.support.glb import glb
from tests.support.pictures import picture


def archive(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (glb(), "glb"),
        (b"Kaydara FBX Binary  \x00\x1a\x00" + b"\x00" * 40, "fbx"),
        (b"; FBX 7.3.0 project file\n", "fbx"),
        (b"# made by hand\nmtllib a.mtl\nv 0 0 1\nf 1 1 1\n", "obj"),
        (b"v 0 0 1\r\nv 1 0 0\r\n", "obj"),
        (archive("scene.usdc"), "usdz"),
        (archive("model.obj"), "zip"),
        (b"solid part\n facet normal 0 0 1\n", "stl"),
        (b"solid by a liar".ljust(80, b"\x00") + struct.pack("<I", 2) + b"\x00" * 100, "stl"),
        (b"ply\nformat binary_little_endian 1.0\n", "ply"),
        (b"BLENDER-v402", "blend"),
        (b"PXR-USDC" + bytes(8), "usdc"),
        (b"#usda 1.0\n", "usda"),
        (b'<?xml version="1.0"?>\n<COLLADA>', "dae"),
        (b'{"asset":{"version":"2.0"}}', "gltf"),
        (b'{"detail":"not found"}', "unknown"),
        (b"<html>gone</html>", "unknown"),
        (picture("png", (8, 8)), "unknown"),
        (b"", "unknown"),
    ],
)
def test_format_is_known_by_the_bytes(data: bytes, expected: str) -> None:
    assert sniff_model(data, len(data)) == expected
    assert sniff_model(memoryview(data), len(data)) == expected
