"""What a result says that it bills, times the listed price, is what the ledger says was billed."""

import pytest

from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture

HEADER = "x-fal-billable-units"


async def _billed(
    emulator: RunningEmulator, endpoint: str, fault: str = "", **arguments: object
) -> tuple[str | None, float | None]:
    """The header of the result, and what the ledger says."""
    name = "input_image_url" if "hunyuan" in endpoint else "image_url"
    url = await emulator.upload(picture())
    arguments = emulator.as_drawn(endpoint, arguments)
    result = await emulator.result({name: url, **arguments}, endpoint, x_emulator_fault=fault)
    line = (await emulator.ledger())["submissions"][-1]
    return result.headers.get(HEADER), line["billed_usd"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "usd"),
    [
        (TRIPO, {}, 0.30),
        (TRIPO, {"texture": "no"}, 0.20),
        (TRIPO, {"texture": "HD", "quad": True}, 0.45),
        ("tripo3d/h3.1/image-to-3d", {"texture_quality": "detailed", "geometry_quality": "detailed"}, 0.60),
        ("tripo3d/h3.1/image-to-3d", {"texture": False, "pbr": False}, 0.20),
        ("tripo3d/p1/image-to-3d", {"texture": False}, 0.40),
        ("fal-ai/trellis", {}, 0.02),
        ("fal-ai/trellis-2", {"resolution": 1536}, 0.35),
        ("fal-ai/hunyuan3d/v2", {"textured_mesh": True}, 0.48),
        ("fal-ai/sam-3/3d-objects", {}, 0.02),
    ],
)
async def test_units_times_price_is_what_is_billed(
    emulator: RunningEmulator, endpoint: str, arguments: dict[str, object], usd: float
) -> None:
    units, billed = await _billed(emulator, endpoint, "", **arguments)
    reply = await emulator.http.get("/v1/models/pricing", params={"endpoint_id": endpoint})

    assert units is not None
    assert billed == usd
    assert float(units) * reply.json()["prices"][0]["unit_price"] == pytest.approx(usd, abs=1e-9)


@pytest.mark.parametrize(
    ("fault", "header", "billed"),
    [
        ("billable_units=3", "3", 0.9),
        ("billable_units=0", "0", 0),
        ("billable_units=none", None, 0.3),
        ("422", None, None),
        ("422+billable_units=1", "1", 0.3),
        ("500+billable_units=1", None, 0),
        ("runner_503", None, 0),
        ("504", None, 0),
        ("result_error", "1", 0.3),
        ("result_expired", None, 0.3),
    ],
)
async def test_faults_and_what_they_bill(
    emulator: RunningEmulator, fault: str, header: str | None, billed: float | None
) -> None:
    assert await _billed(emulator, TRIPO, fault) == (header, billed)


async def test_wrong_input_bills_nothing_and_says_so(emulator: RunningEmulator) -> None:
    assert await _billed(emulator, TRIPO, texture="8K") == ("0", 0)
    refused = await emulator.http.post(f"/{TRIPO}", content=b"{")

    assert (refused.status_code, refused.headers[HEADER]) == (422, "0")


async def test_a_cancel_bills_nothing(emulator: RunningEmulator) -> None:
    submitted = (await emulator.submit({"image_url": "data:,x"}, x_emulator_latency="30s")).json()
    await emulator.http.put(submitted["cancel_url"])
    (line,) = (await emulator.ledger())["submissions"]

    assert (line["billable_units"], line["billed_usd"]) == (0, 0)
