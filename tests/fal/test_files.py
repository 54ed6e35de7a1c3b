"""Which files an output holds, what each is called, and which is the model."""

import json
import tracemalloc
from typing import Any

import pytest

from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.files import files_of
from tests.support.endpoints import endpoint_of

TRIPO = endpoint_of(DEFAULT_MODEL)


def found(output: object, model: str = DEFAULT_MODEL) -> list[tuple[str, str]]:
    """Kind and last part of the URL of each file."""
    whole = json.loads(json.dumps(output))
    return [(file.kind, file.url.rpartition("/")[2]) for file in files_of(endpoint_of(model), whole)]


def at(name: str, **more: object) -> dict[str, object]:
    return {"url": f"https://v3.fal.media/files/{name}", **more}


def test_mapped_files_come_first_and_all_others_behind_them() -> None:
    output = {
        "textures": [at("a.png"), at("b.png")],
        "model_mesh": at("m.glb"),
        "pbr_model": at("p.glb"),
        "rendered_image": at("r.webp"),
        "model_urls": {"fbx": at("m.fbx"), "glb": at("m.glb")},
    }
    assert found(output) == [
        ("model", "p.glb"),
        ("preview", "r.webp"),
        ("texture", "a.png"),
        ("texture-2", "b.png"),
        ("model-mesh", "m.glb"),
        ("fbx", "m.fbx"),
    ]


def test_kinds_are_safe_parts_of_a_path_and_unique() -> None:
    output = {
        "model_mesh": at("m.glb"),
        "../../etc": at("1"),
        "ÜBER": at("2"),
        "original": at("3"),
        "model": at("4"),
        "preview": at("5"),
        "texture-2": at("6"),
        "textures": [at("7"), at("8"), at("9")],
        "x" * 500: at("10"),
        "": at("11"),
    }
    kinds = [kind for kind, _ in found(output)]
    assert kinds == [
        *("model", "etc", "ber", "original-2", "model-2", "preview", "texture-2"),
        *("texture", "texture-3", "texture-4", "x" * 40, "file"),
    ]


@pytest.mark.parametrize(
    "model_mesh",
    [None, 7, "", [], {}, {"url": None}, {"url": 7}, {"url": "ftp://a/b.glb"}, {"file_name": "m.glb"}, True],
)
def test_field_of_another_shape_hides_no_other_model(model_mesh: object) -> None:
    assert found({"model_mesh": model_mesh, "mesh": at("n.glb")}) == [("model", "n.glb")]


@pytest.mark.parametrize("model_mesh", ["https://v3.fal.media/m.glb", [at("m.glb")]])
def test_mapped_field_may_hold_the_url_itself_or_a_list(model_mesh: object) -> None:
    assert found({"model_mesh": model_mesh}) == [("model", "m.glb")]


def test_best_format_is_the_model_where_the_mapping_finds_none() -> None:
    output = {
        "image": at("i.png"),
        "archive": at("all.zip"),
        "mesh_obj": at("m.obj"),
        "g": at("x", file_name="m.glb"),
    }
    assert found(output)[0] == ("model", "x")


def test_pictures_alone_are_no_model() -> None:
    assert found({"image": at("x", content_type="image/png")}) == [("image", "x")]


def test_odd_fields_of_a_file_are_passed_over() -> None:
    (file,) = files_of(TRIPO, {"model_mesh": at("m", content_type=5, file_name=None, file_size="9")})
    assert (file.content_type, file.file_name, file.file_size, file.format) == (None, None, None, "bin")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (at("m.SPLAT?x=1"), "splat"),
        (at("x", file_name="scene.spz"), "spz"),
        (at("x", content_type="model/gltf-binary"), "glb"),
        (at("x", content_type="application/x-ksplat; v=1"), "ksplat"),
        (at("x.bin", content_type="application/octet-stream"), "bin"),
        (at("x", file_name="../../evil.s/h"), "bin"),
    ],
)
def test_format_is_that_of_the_name_then_of_the_type(file: dict[str, object], expected: str) -> None:
    (one,) = files_of(TRIPO, {"model_mesh": file})
    assert one.format == expected


def test_output_of_too_many_files_is_cut() -> None:
    assert len(found({"textures": [at(str(n)) for n in range(1000)]})) == 256


def test_model_behind_too_many_files_is_found_all_the_same() -> None:
    output = {"textures": [at(f"{n}.png") for n in range(1000)], "mesh": {"scene": at("m.glb")}}
    files = found(output)
    assert files[0] == ("model", "m.glb")
    assert len(files) == 257


def test_names_of_any_length_cost_no_memory() -> None:
    """Each of 20,000 objects came with a copy of the path of its own: 4 GB from 300 KB of JSON."""
    output = {"k" * 200_000: [{} for _ in range(20_000)], "model_mesh": at("m.glb")}
    tracemalloc.start()
    try:
        files = files_of(TRIPO, output)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [file.kind for file in files] == ["model"]
    assert most < 20 << 20


def test_output_of_any_size_is_looked_at_up_to_a_bound() -> None:
    looked_at = 0

    class Counted(dict[str, object]):
        def items(self) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().items()

    files = files_of(TRIPO, {"model_mesh": at("m.glb"), "rest": [Counted() for _ in range(250_000)]})
    assert [file.kind for file in files] == ["model"]
    assert looked_at <= 200_000


def test_url_is_kept_as_one_that_a_header_can_carry() -> None:
    (file,) = files_of(TRIPO, {"model_mesh": {"url": "https://v3.fal.media/a b/\u6a21\r\nX: 1.glb"}})
    assert file.url == "https://v3.fal.media/a%20b/%E6%A8%A1%0D%0AX:%201.glb"
