"""The platform API: how a request whose reply was lost is found again, and what models cost."""

import httpx
import pytest

from tests.support.emulator import TRIPO, RunningEmulator

ROUTE = "/v1/models/requests/by-endpoint"
PARAMETERS = {"endpoint_id": TRIPO, "expand": "payloads"}


async def _items(emulator: RunningEmulator, **more: str) -> list[dict[str, object]]:
    reply = await emulator.http.get(ROUTE, params={**PARAMETERS, **more})
    assert reply.status_code == 200, reply.text
    return list(reply.json()["items"])


async def test_lost_submit_is_found_by_its_url(emulator: RunningEmulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await emulator.submit({"image_url": "data:,mine"}, x_emulator_fault="drop_after_accept")
    await emulator.submit({"image_url": "data:,other"})
    found = [item for item in await _items(emulator) if item["json_input"] == {"image_url": "data:,mine"}]

    assert [item["request_id"] for item in found] == [
        (await emulator.ledger())["submissions"][0]["request_id"]
    ]
    assert {"endpoint_id", "sent_at", "started_at"} <= set(found[0])


async def test_ended_requests_have_status_code_and_output(emulator: RunningEmulator) -> None:
    await emulator.result({"image_url": "data:,bad"})
    item = (await _items(emulator, status="user_error"))[0]

    assert item["status_code"] == 422
    assert item["json_output"]
    assert item["duration"]
    assert await _items(emulator, status="success") == []


async def test_pages_newest_first(emulator: RunningEmulator) -> None:
    ids = [(await emulator.submit({"image_url": "data:,x"})).json()["request_id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await emulator.http.get(ROUTE, params={**PARAMETERS, "limit": 2, **cursor})).json()
        seen += [item["request_id"] for item in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == ids[::-1]
    assert [item["request_id"] for item in await _items(emulator, request_id=ids[1])] == [ids[1]]


async def test_start_and_end_bound_the_time(emulator: RunningEmulator) -> None:
    await emulator.submit({"image_url": "data:,x"})

    assert len(await _items(emulator, start="2020-01-01T00:00:00Z")) == 1
    assert await _items(emulator, start="2999-01-01T00:00:00Z") == []
    assert await _items(emulator, end="2020-01-01T00:00:00Z") == []
    assert (await emulator.http.get(ROUTE, params={**PARAMETERS, "start": "now"})).status_code == 400


async def test_lagging_and_blind_lookups(emulator: RunningEmulator) -> None:
    await emulator.settings(concurrency=0)
    await emulator.submit({"image_url": "data:,x"})
    await emulator.fault("lookup_lag", count=1)
    lagging = await _items(emulator)
    await emulator.fault("lookup_blind", count=1)
    blind = await _items(emulator)

    assert lagging == blind == []
    assert len(await _items(emulator)) == 1


async def test_prices_schemas_billing_and_meta(emulator: RunningEmulator) -> None:
    price = (await emulator.http.get("/v1/models/pricing", params={"endpoint_id": TRIPO})).json()["prices"]
    model = (
        await emulator.http.get("/v1/models", params={"endpoint_id": TRIPO, "expand": "openapi-3.0"})
    ).json()["models"][0]
    schema = model["openapi"]["components"]["schemas"]["TripoV25ImageTo3dInput"]

    assert price == [{"endpoint_id": TRIPO, "unit_price": 0.3, "unit": "generations", "currency": "USD"}]
    assert schema["required"] == ["image_url"]
    assert schema["properties"]["texture"]["enum"] == ["no", "standard", "HD"]
    assert (await emulator.http.get("/v1/account/billing?expand=credits")).json()["credits"]
    assert (await emulator.http.get("/v1/meta")).json()["webhook_ip_ranges"]
    anonymous = {"authorization": ""}
    assert (await emulator.http.get("/v1/account/billing", headers=anonymous)).status_code == 401
    assert (await emulator.http.get("/v1/meta", headers=anonymous)).status_code == 200
