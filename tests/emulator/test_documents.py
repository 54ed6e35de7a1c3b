"""The OpenAPI documents say what the endpoints take, in the JSON types that the start has drawn."""

from collections.abc import Iterator
from typing import Any

import pytest

from fal_emulator.catalogue import Catalogue
from fal_emulator.config import Config
from fal_emulator.endpoints import ENDPOINTS, Endpoint, drawn
from fal_emulator.openapi import document, schema_name
from fal_emulator.validation import InputError, accept
from tests.support.emulator import RunningEmulator, running_emulator, smallest_input
from tests.support.sketches import picture

SEEDS = range(10)
DRAWN = [(row.id, name) for row in ENDPOINTS.values() for name, field in row.fields.items() if field.drawn]
TRELLIS = "fal-ai/trellis"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def _objects(schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (schema for schema in schemas.values() if "x-fal-order-properties" in schema)


def _type(schema: dict[str, Any]) -> str:
    return str(schema.get("type") or schema["anyOf"][0]["type"])


@pytest.mark.parametrize("row", ENDPOINTS.values(), ids=lambda row: row.id)
def test_every_document_is_whole(row: Endpoint) -> None:
    whole: Any = document(drawn(row, 1))
    schemas = whole["components"]["schemas"]
    name = schema_name(row.id)

    assert {f"#/components/schemas/{name}" for name in schemas} >= set(_references(whole))
    assert schemas[f"{name}Input"]["x-fal-order-properties"] == list(row.fields)
    assert schemas[f"{name}Output"]["x-fal-order-properties"] == list(row.outputs)
    for schema in _objects(schemas):
        assert set(schema["x-fal-order-properties"]) == set(schema["properties"])
        assert set(schema.get("required", ())) <= set(schema["properties"])
    assert set(whole["paths"]) == {
        f"/{row.id}",
        *(f"/{row.id}/requests/{{request_id}}{end}" for end in ("", "/status", "/cancel")),
    }


def test_documents_differ_in_their_shapes() -> None:
    texts = [str(document(row)) for row in ENDPOINTS.values()]

    for shape in ("'allOf'", "'anyOf'", "'const'", "'ui'"):
        assert 0 < sum(shape in text for text in texts) < len(texts), shape


def test_each_enumeration_is_drawn_by_itself() -> None:
    kinds = {
        tuple(type(Catalogue(seed).find(row).fields[name].choices[0]) for row, name in DRAWN)  # type: ignore[union-attr]
        for seed in SEEDS
    }

    assert len(DRAWN) > 10
    assert len(kinds) == len(SEEDS)
    assert {kind for one in kinds for kind in one} == {str, int}
    assert {len(set(one)) for one in kinds} == {2}


def test_the_same_seed_draws_the_same() -> None:
    assert list(Catalogue(5).rows()) == list(Catalogue(5).rows())


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_other_json_type_is_a_literal_error(seed: int) -> None:
    async with running_emulator(Config(latency=0.01, schema_seed=seed)) as emulator:
        schema = await _property(emulator, "texture_size")
        right = schema["enum"][0]
        wrong = int(right) if isinstance(right, str) else str(right)
        url = await emulator.upload(picture())
        taken = await emulator.result({"image_url": url, "texture_size": right}, TRELLIS)
        refused = await emulator.result({"image_url": url, "texture_size": wrong, "unknown": 1}, TRELLIS)

    expected = "'512', '1024' or '2048'" if isinstance(right, str) else "512, 1024 or 2048"
    assert _type(schema) == ("string" if isinstance(right, str) else "integer")
    assert type(schema["default"]) is type(right)
    assert taken.status_code == 200
    assert (refused.status_code, refused.headers["x-fal-billable-units"]) == (422, "0")
    assert refused.json() == {
        "detail": [
            {
                "type": "literal_error",
                "loc": ["body", "texture_size"],
                "msg": f"Input should be {expected}",
                "input": wrong,
                "ctx": {"expected": expected},
            }
        ]
    }


async def _property(emulator: RunningEmulator, name: str) -> dict[str, Any]:
    query = {"endpoint_id": TRELLIS, "expand": "openapi-3.0"}
    (model,) = (await emulator.http.get("/v1/models", params=query)).json()["models"]
    return dict(model["openapi"]["components"]["schemas"]["TrellisInput"]["properties"][name])


@pytest.mark.parametrize(
    ("arguments", "kind", "loc"),
    [
        ({"point_prompts": [{"x": 1, "y": 2}, {"x": 1}]}, "missing", ["point_prompts", 1, "y"]),
        ({"point_prompts": [{"x": 1, "y": 2, "label": 3}]}, "literal_error", ["point_prompts", 0, "label"]),
        (
            {"point_prompts": [{"x": 1, "y": 2, "label": True}]},
            "literal_error",
            ["point_prompts", 0, "label"],
        ),
        ({"point_prompts": ["here"]}, "model_attributes_type", ["point_prompts", 0]),
        ({"box_prompts": {"x_min": 1}}, "list_type", ["box_prompts"]),
        ({"mask_urls": [1]}, "string_type", ["mask_urls", 0]),
        ({"detection_threshold": 2}, "less_than_equal", ["detection_threshold"]),
        ({"detection_threshold": "much"}, "float_parsing", ["detection_threshold"]),
        ({"detection_threshold": {}}, "float_type", ["detection_threshold"]),
        ({"prompt": 7}, "string_type", ["prompt"]),
        ({"export_textured_glb": []}, "bool_type", ["export_textured_glb"]),
    ],
)
def test_mistakes_are_pydantics(arguments: dict[str, object], kind: str, loc: list[str | int]) -> None:
    with pytest.raises(InputError) as caught:
        accept(ENDPOINTS["fal-ai/sam-3/3d-objects"], {"image_url": "data:,x", **arguments})

    assert [(one.kind, list(one.loc)) for one in caught.value.mistakes] == [(kind, loc)]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        accept(ENDPOINTS["fal-ai/triposr"], {"output_format": "stl", "mc_resolution": 0})

    kinds = [one.kind for one in caught.value.mistakes]
    assert kinds == ["missing", "literal_error", "greater_than_equal"]


def test_values_are_read_as_pydantic_reads_them() -> None:
    row = ENDPOINTS["fal-ai/triposr"]
    given = {
        "image_url": "data:,x",
        "mc_resolution": "7",
        "do_remove_background": "off",
        "foreground_ratio": "0.5",
    }
    numbers = accept(row, {"image_url": "data:,x", "mc_resolution": 7.0, "do_remove_background": 1})

    assert accept(row, {**given, "unknown": 1}) == {
        "image_url": "data:,x",
        "mc_resolution": 7,
        "do_remove_background": False,
        "foreground_ratio": 0.5,
    }
    assert (numbers["mc_resolution"], numbers["do_remove_background"]) == (7, True)
    assert accept(ENDPOINTS[TRELLIS], {"image_url": "data:,x", "texture_size": 512.0, "seed": None}) == {
        "image_url": "data:,x",
        "texture_size": 512,
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_defaults_are_accepted_as_they_are(seed: int) -> None:
    for row in Catalogue(seed).rows():
        whole = {**row.defaults, **smallest_input(row, "data:,x", "data:,x")}

        assert accept(row, whole) == whole
