"""What streams by is judged by its bytes: a file, no file, and what can be known of it."""

import gzip
import struct

import pytest

from image2model.media.model_probe import ModelProbe, NotAModel
from tests.support.glb import document, glb


def probed(data: bytes, piece: int = 4096) -> ModelProbe:
    probe = ModelProbe(data[:piece], len(data))
    for start in range(0, len(data), piece):
        probe.feed(data[start : start + piece])
    probe.end()
    return probe


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>expired</html>",
        b"\n\n <HTML><body>sign in",
        b"<!-- error --><!-- 7 -->\n<!doctype html><title>503</title>",
        b"<title>Sign in</title>",
        b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
        b'{"detail":"not found"}',
        b'{"asset":{}}',
        b'{"asset":{"version":null}}',
        b'{"asset":{"version":"2.0"}',
        b"[]",
    ],
)
def test_what_is_no_file_counts_as_missing(data: bytes) -> None:
    with pytest.raises(NotAModel):
        probed(data)


def test_gltf_is_known_by_its_version() -> None:
    assert probed(b'{"meshes":[],"asset":{"version":"2.0"}}').format == "gltf"


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<6f8B", 0, 0, 0, 0.1, 0.1, 0.1, 200, 100, 50, 255, 255, 128, 128, 128),
        gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0) + bytes(19), mtime=0),
    ],
)
def test_format_that_is_not_known_passes(data: bytes) -> None:
    probe = probed(data)
    assert (probe.format, probe.measured()) == ("unknown", None)


def points() -> bytes:
    return glb(document(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}]))


def no_bounds() -> bytes:
    first, second = document()["accessors"]
    del first["min"], first["max"]
    return glb(document(accessors=[first, second]))


@pytest.mark.parametrize(("data", "remark"), [(points(), "3 points"), (no_bounds(), "bounds")])
def test_glb_that_cannot_be_measured_passes_with_a_remark(data: bytes, remark: str) -> None:
    found = probed(data).measured()
    assert found is not None
    assert found.mesh is None
    assert remark in (found.remark or "")
