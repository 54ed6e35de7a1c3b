"""FAL's list of endpoints as it is read, and as it changes while the emulator runs."""

from typing import Any

import pytest

from fal_emulator.endpoints import ENDPOINTS
from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture

ROW: dict[str, Any] = {
    "title": "Made today",
    "fields": {
        "image_url": {"role": "picture", "required": True},
        "size": {"kind": "integer", "choices": [512, 1024], "default": 512},
    },
    "outputs": {"model_glb": {"content": "model", "required": True}, "thumbnail": {"content": "preview"}},
    "price": 0.25,
}
NEW = "acme/chairs/v1/image-to-3d"


async def _models(emulator: RunningEmulator, **query: Any) -> dict[str, Any]:
    return dict((await emulator.http.get("/v1/models", params=query)).json())


async def _ids(emulator: RunningEmulator, **query: Any) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    page: dict[str, Any] = {"has_more": True, "next_cursor": None}
    while page["has_more"]:
        cursor = {} if page["next_cursor"] is None else {"cursor": page["next_cursor"]}
        page = await _models(emulator, **query, **cursor)
        found += [model["endpoint_id"] for model in page["models"]]
    return found


async def _prices(emulator: RunningEmulator, *ids: str) -> Any:
    return (await emulator.http.get("/v1/models/pricing", params={"endpoint_id": list(ids)})).json()


async def test_filters_by_category_id_status_and_words(emulator: RunningEmulator) -> None:
    three = await _ids(emulator, category="3d-to-3d")
    named = await _ids(emulator, endpoint_id=[TRIPO, "fal-ai/trellis", "no/such"], category="image-to-3d")

    assert len(await _ids(emulator)) == len(ENDPOINTS)
    assert set(three) == {row.id for row in ENDPOINTS.values() if row.category == "3d-to-3d"}
    assert "fal-ai/flux/dev" in await _ids(emulator, category="text-to-image")
    assert set(named) == {TRIPO, "fal-ai/trellis"}
    assert await _ids(emulator, status="deprecated") == []
    assert set(await _ids(emulator, q="triposplat")) == {"tripo3d/triposplat"}


async def test_pages_are_smaller_with_schemas(emulator: RunningEmulator) -> None:
    page = await _models(emulator, limit=1000, expand="openapi-3.0")

    assert len(page["models"]) == 25
    assert page["has_more"]
    assert len(await _ids(emulator, expand="openapi-3.0", limit=7)) == len(ENDPOINTS)
    assert all(model["openapi"]["openapi"] == "3.0.4" for model in page["models"])


@pytest.mark.parametrize(
    "query",
    [
        {"status": "new"},
        {"limit": "0"},
        {"limit": "x"},
        {"cursor": "?"},
        {"endpoint_id": [f"a/{number}" for number in range(51)]},
    ],
)
async def test_wrong_queries_are_refused(emulator: RunningEmulator, query: dict[str, Any]) -> None:
    reply = await emulator.http.get("/v1/models", params=query)

    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "validation_error"


async def test_prices_of_at_most_fifty_and_only_where_there_is_one(emulator: RunningEmulator) -> None:
    ids = [f"a/{number}" for number in range(51)]
    refused = await emulator.http.get("/v1/models/pricing", params={"endpoint_id": ids})
    found = await _prices(
        emulator, "tripo3d/p1/image-to-3d", "fal-ai/hyper3d/rodin/v2", "fal-ai/hunyuan3d/v2/mini"
    )
    units = {one["endpoint_id"]: (one["unit_price"], one["unit"]) for one in found["prices"]}

    assert refused.status_code == 400
    assert units == {
        "tripo3d/p1/image-to-3d": (0.01, "credits"),
        "fal-ai/hunyuan3d/v2/mini": (0.00125, "compute seconds"),
    }


async def test_compute_seconds_are_billed_by_the_run(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    result = await emulator.result(
        {"input_image_url": url}, "fal-ai/hunyuan3d/v2/mini", x_emulator_latency="400ms"
    )

    assert result.headers["x-fal-billable-units"] == "0.4"


async def test_a_new_endpoint_is_listed_priced_and_runs(emulator: RunningEmulator) -> None:
    before = await emulator.submit({}, NEW)
    put = await emulator.http.put(f"/_emulator/endpoints/{NEW}", json=ROW)
    result = await emulator.result({"image_url": await emulator.upload(picture()), "size": 1024}, NEW)

    assert (before.status_code, put.status_code, result.status_code) == (404, 200, 200)
    assert set(result.json()) == {"model_glb", "thumbnail"}
    assert NEW in await _ids(emulator, category="image-to-3d")
    assert (await _prices(emulator, NEW))["prices"][0]["unit_price"] == 0.25
    await emulator.fault("endpoint_403", rate=1, endpoint=NEW)
    assert (await emulator.submit({}, NEW)).status_code == 403


async def test_an_unlisted_endpoint_refuses_and_finishes_what_runs(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    submitted = (await emulator.submit({"image_url": url}, x_emulator_latency="300ms")).json()
    await emulator.http.delete(f"/_emulator/endpoints/{TRIPO}")
    refused = await emulator.submit({"image_url": url})
    await emulator.follow(submitted)
    result = await emulator.http.get(submitted["response_url"])

    assert refused.status_code == 404
    assert TRIPO not in await _ids(emulator)
    assert (await _prices(emulator, TRIPO))["prices"] == []
    assert result.status_code == 200
    assert (await emulator.http.put(f"/_emulator/endpoints/{TRIPO}")).json()["id"] == TRIPO
    assert (await emulator.submit({"image_url": url})).status_code == 200


async def test_a_patch_changes_schema_price_and_status(emulator: RunningEmulator) -> None:
    path = f"/_emulator/endpoints/{TRIPO}"
    changes = {
        "price": 0.6,
        "status": "deprecated",
        "fields": {"texture_seed": None, "style": {"choices": ["clay", "gold"], "default": "clay"}},
    }
    await emulator.http.patch(path, json=changes)
    page = await _models(emulator, endpoint_id=TRIPO, expand="openapi-3.0")
    (model,) = page["models"]
    schemas = model["openapi"]["components"]["schemas"]
    properties = schemas["TripoV25ImageTo3dInput"]["properties"]
    url = await emulator.upload(picture())
    refused = await emulator.result({"image_url": url, "style": "wood"})
    result = await emulator.result({"image_url": url, "style": "gold", "quad": True})

    assert model["metadata"]["status"] == "deprecated"
    assert "texture_seed" not in properties
    assert properties["style"]["enum"] == ["clay", "gold"]
    assert refused.status_code == 422
    assert float(result.headers["x-fal-billable-units"]) * 0.6 == pytest.approx(0.7)
    assert await _ids(emulator, status="deprecated") == [TRIPO]


async def test_a_price_can_be_taken_away(emulator: RunningEmulator) -> None:
    await emulator.http.patch(f"/_emulator/endpoints/{TRIPO}", json={"price": None})
    result = await emulator.result({"image_url": await emulator.upload(picture())})

    assert (await _prices(emulator, TRIPO))["prices"] == []
    assert result.headers["x-fal-billable-units"] == "1"
    assert (await emulator.ledger())["submissions"][0]["billed_usd"] is None


async def test_a_catalogue_of_five_hundred_and_back(emulator: RunningEmulator) -> None:
    reply = await emulator.http.post("/_emulator/endpoints/bulk", json={"count": 500})
    added = reply.json()["added"]
    listed = await _ids(emulator, category="image-to-3d", limit=100)
    page = await _models(emulator, endpoint_id=added[:25], expand="openapi-3.0")
    inputs = [
        schema["properties"].keys()
        for model in page["models"]
        for name, schema in model["openapi"]["components"]["schemas"].items()
        if name.endswith("Input")
    ]

    assert len(set(added)) == 500
    assert set(added) <= set(listed)
    assert len({tuple(sorted(names)) for names in inputs}) > 20
    assert len((await emulator.http.delete("/_emulator/endpoints")).json()["endpoints"]) == len(ENDPOINTS)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", NEW, {"fields": {}, "outputs": {}}, 422),
        ("PUT", NEW, {**ROW, "colour": "red"}, 422),
        ("PUT", NEW, None, 422),
        ("PATCH", TRIPO, {"fields": {"image_url": {"kind": "picture"}}}, 422),
        ("PATCH", NEW, {}, 404),
        ("DELETE", NEW, None, 404),
        ("GET", NEW, None, 404),
        ("POST", "bulk", {"count": 0}, 422),
        ("POST", "bulk", {"number": 7}, 422),
    ],
)
async def test_wrong_changes_are_refused_in_words(
    emulator: RunningEmulator, method: str, path: str, body: Any, status: int
) -> None:
    reply = await emulator.http.request(method, f"/_emulator/endpoints/{path}", json=body)

    assert reply.status_code == status
    assert reply.json()["detail"]
    assert len(await _ids(emulator)) == len(ENDPOINTS)


@pytest.mark.long
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_row_that_was_read_can_be_written(emulator: RunningEmulator, endpoint: str) -> None:
    path = f"/_emulator/endpoints/{endpoint}"
    row = (await emulator.http.get(path)).json()

    assert (await emulator.http.put(path, json=row)).json() == row
