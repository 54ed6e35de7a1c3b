"""Models as they come from FAL: measured where that can be, and else with the reason why not."""

import math
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from image2model.media.glb import Measured, inspect_glb, measure
from image2model.media.glb_container import GlbReader, NotMeasured
from tests.support.glb import BINARY, document, glb


def accessor(number: int, **changes: Any) -> list[dict[str, Any]]:
    accessors: list[dict[str, Any]] = document()["accessors"]
    accessors[number] = accessors[number] | changes
    return accessors


def test_whole_model_is_measured() -> None:
    info = inspect_glb(glb(document(textures=[{}, {}])))
    assert (info.triangles, info.vertices, info.textures) == (1, 3, 2)
    assert info.bounds == ((0, 0, 0), (1, 2, 0))


def test_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "model.glb"
    path.write_bytes(glb())
    assert inspect_glb(path) == inspect_glb(memoryview(glb()))


@pytest.mark.parametrize(("mode", "triangles"), [(4, 1), (5, 1), (6, 1)])
def test_triangles_are_counted_by_mode(mode: int, triangles: int) -> None:
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]}]
    assert inspect_glb(glb(document(meshes=meshes))).triangles == triangles


def test_strip_without_indices_counts_its_vertices() -> None:
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 5}]}]
    assert inspect_glb(glb(document(meshes=meshes))).triangles == 1


def test_mesh_shown_by_two_nodes_counts_twice() -> None:
    parts = document(scenes=[{"nodes": [0, 1]}], nodes=[{"mesh": 0}, {"mesh": 0, "translation": [10, 0, 0]}])
    info = inspect_glb(glb(parts))
    assert (info.triangles, info.vertices) == (2, 6)
    assert info.bounds == ((0, 0, 0), (11, 2, 0))


def test_nodes_outside_the_scene_do_not_count() -> None:
    assert inspect_glb(glb(document(nodes=[{"mesh": 0}, {"mesh": 0}]))).triangles == 1


def test_bounds_follow_the_nodes() -> None:
    half = math.sqrt(0.5)
    nodes = [
        {"children": [1], "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]},
        {"mesh": 0, "rotation": [0, 0, half, half], "scale": [2, 1, 1]},
    ]
    low, high = inspect_glb(glb(document(nodes=nodes))).bounds
    # Twice as wide, a quarter turn about z (x to y, y to -x), then moved.
    assert low == pytest.approx((3, 6, 7))
    assert high == pytest.approx((5, 8, 7))


def test_quantized_positions_are_normalized() -> None:
    accessors = accessor(
        0, componentType=5122, normalized=True, min=[0, 0, 0], max=[32767, 32767, 0], count=3
    )
    views = document()["bufferViews"]
    views[0]["byteStride"] = 8
    assert inspect_glb(glb(document(accessors=accessors, bufferViews=views))).bounds[1] == (1, 1, 0)


def test_draco_model_is_measured_by_its_accessors() -> None:
    accessors = [{k: v for k, v in one.items() if k != "bufferView"} for one in document()["accessors"]]
    primitive = {
        "attributes": {"POSITION": 0},
        "indices": 1,
        "extensions": {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}},
    }
    parts = document(accessors=accessors, meshes=[{"primitives": [primitive]}])
    assert inspect_glb(glb(parts)).triangles == 1


def test_meshopt_model_is_measured_by_its_accessors() -> None:
    packed = {"buffer": 0, "byteOffset": 0, "byteLength": 8, "byteStride": 12, "count": 300}
    views = document()["bufferViews"]
    views[0] = {"buffer": 1, "byteLength": 3600, "extensions": {"EXT_meshopt_compression": packed}}
    buffers = [
        {"byteLength": len(BINARY)},
        {"byteLength": 3600, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]
    parts = document(accessors=accessor(0, count=300), bufferViews=views, buffers=buffers)
    assert inspect_glb(glb(parts)).vertices == 300


BROKEN: dict[str, bytes] = {
    "not a model": b"<html>expired</html>" * 4,
    "empty": b"",
    "version 1": glb()[:4] + b"\x01\x00\x00\x00" + glb()[8:],
    "longer than it says": glb() + b"\x00\x00\x00\x00",
    "no json": glb().replace(b"JSON", b"NOSJ"),
    "broken json": glb().replace(b'"asset"', b'"asset\x00'),
    "json of another kind": glb({"accessors": 5}),
    "no geometry": glb({"asset": {"version": "2.0"}}),
    "points": glb(document(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}])),
    "view past its buffer": glb(document(bufferViews=[{"buffer": 0, "byteLength": 999}] * 2)),
    "view of no buffer": glb(document(bufferViews=[{"buffer": 7, "byteLength": 1}] * 2)),
    "accessor past its view": glb(document(accessors=accessor(0, count=4))),
    "accessor with offset": glb(document(accessors=accessor(1, byteOffset=2))),
    "accessor of no type": glb(document(accessors=accessor(0, type="VEC9"))),
    "accessor of no view": glb(document(accessors=accessor(0, bufferView=-1))),
    "negative count": glb(document(accessors=accessor(0, count=-3))),
    "buffer larger than the chunk": glb(document(buffers=[{"byteLength": 4000}])),
    "no binary chunk": glb(binary=None),
    "external buffer": glb(document(buffers=[{"byteLength": 44, "uri": "scene.bin"}])),
    "cycle": glb(document(nodes=[{"mesh": 0, "children": [1]}, {"children": [0]}])),
    "no such mesh": glb(document(nodes=[{"mesh": 3}])),
    "no such node": glb(document(scenes=[{"nodes": [-1]}])),
    "short matrix": glb(document(nodes=[{"mesh": 0, "matrix": [1, 0]}])),
    "no bounds": glb(document(accessors=accessor(0, min=None))),
    "endless bounds": glb(document(accessors=accessor(0, max=[1e308, 1e308, 1e308]), nodes=[
        {"mesh": 0, "scale": [1e308, 1e308, 1e308]}])),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_odd_model_is_told_with_the_reason(name: str) -> None:
    with pytest.raises(NotMeasured, match=r"^\S.*\S$") as odd:
        inspect_glb(BROKEN[name])
    assert not odd.value.truncated


def test_bytes_behind_the_end_keep_nothing_from_being_measured() -> None:
    reader = GlbReader()
    reader.feed(glb() + bytes(7))
    found = measure(reader)
    assert found.mesh is not None
    assert found.remark == "7 bytes follow after its end"


def test_cut_model_is_known_as_cut() -> None:
    data = glb()
    for end in range(4, len(data)):
        with pytest.raises(NotMeasured) as odd:
            inspect_glb(data[:end])
        assert odd.value.truncated


@pytest.mark.parametrize("piece", [1, 3, 19, 21, 1000])
def test_pieces_of_any_size_measure_the_same(piece: int) -> None:
    data = glb()
    reader = GlbReader()
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    assert measure(reader).mesh == inspect_glb(data)


def test_binary_chunk_is_not_kept() -> None:
    reader = GlbReader()
    reader.feed(glb(document(), bytes(8 << 20)))
    assert reader.received > 8 << 20
    assert reader.json_length < 2000


def test_damaged_model_raises_nothing_else() -> None:
    chance = random.Random(3)
    for _ in range(3000):
        data = bytearray(glb())
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        reader = GlbReader()
        reader.feed(bytes(data))
        assert measure(reader).truncated in (True, False)


@pytest.mark.long
@pytest.mark.parametrize(("nodes", "parts"), [(3000, 3000), (100_001, 1)])
def test_small_file_that_draws_billions_is_not_measured(nodes: int, parts: int) -> None:
    """A mesh may be shown by any number of nodes: 130 KB drew 9 million parts, 10 GB of corners."""
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}}] * parts}]
    scenes = [{"nodes": list(range(nodes))}]
    reader = GlbReader()
    reader.feed(glb(document(meshes=meshes, scenes=scenes, nodes=[{"mesh": 0}] * nodes)))
    tracemalloc.start()
    try:
        found = measure(reader)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.mesh is None
    assert "more than 100,000" in str(found.remark)
    assert most < 200 << 20


def test_numbers_that_no_reader_holds_are_not_measured() -> None:
    """An accessor without bytes may claim any count: stored, its sum made the whole job unreadable."""
    huge = {"componentType": 5125, "count": (1 << 63) - 1, "type": "SCALAR"}
    accessors = [*document()["accessors"], huge]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}, "indices": len(accessors) - 1}] * 9}]
    reader = GlbReader()
    reader.feed(glb(document(accessors=accessors, meshes=meshes)))
    assert measure(reader) == Measured(None, "its numbers are impossibly large")
