"""Each fault shows the effect that its documentation names, and the ledger tells whether it was accepted."""

import asyncio

import httpx
import pytest

from fal_emulator.fault_rules import FaultPlan, FaultRule
from fal_emulator.faults import Fault, Group
from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture

ANY = {"image_url": "data:,x"}


async def _accepted(emulator: RunningEmulator) -> int:
    return len((await emulator.ledger())["submissions"])


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("nginx_502", 502, "nginx"),
        ("nginx_503", 503, "nginx"),
        ("429", 429, "Too many"),
        ("401", 401, "Authentication"),
        ("locked", 403, "User is locked. Reason: Exhausted balance."),
        ("endpoint_403", 403, "This account has no access to tripo3d/tripo/v2.5/image-to-3d."),
        ("endpoint_down", 503, "runner_connection_error"),
    ],
)
async def test_refusals_accept_nothing(emulator: RunningEmulator, kind: str, status: int, words: str) -> None:
    await emulator.fault(kind, count=1)
    refused, accepted = [await emulator.submit(ANY) for _ in range(2)]

    assert refused.status_code == status
    assert words in refused.text
    assert ("x-fal-request-id" in refused.headers) == (not kind.startswith("nginx"))
    assert accepted.status_code == 200
    assert await _accepted(emulator) == 1


async def test_dropped_reply_was_accepted(emulator: RunningEmulator) -> None:
    await emulator.fault("drop_after_accept", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await emulator.submit(ANY)

    assert await _accepted(emulator) == 1
    assert (await emulator.submit(ANY)).status_code == 200


async def test_hung_submit_was_accepted(emulator: RunningEmulator) -> None:
    await emulator.fault("hang", count=1)
    hung = asyncio.ensure_future(emulator.submit(ANY))
    while not await _accepted(emulator):
        pass
    ledger = emulator.state.ledger
    await emulator.ended(ledger.generations[0])

    assert not hung.done()
    hung.cancel()


async def test_malformed_reply_was_accepted(emulator: RunningEmulator) -> None:
    await emulator.fault("malformed", count=1)
    reply = await emulator.submit(ANY)

    assert reply.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        reply.json()
    assert await _accepted(emulator) == 1


@pytest.mark.parametrize(
    ("kind", "status", "error_type"),
    [
        ("runner_503", 503, "runner_connection_error"),
        ("500", 500, "internal_error"),
        ("422", 422, "no_media_generated"),
        ("504", 504, "request_timeout"),
    ],
)
async def test_failures_show_in_the_status_and_as_the_result(
    emulator: RunningEmulator, kind: str, status: int, error_type: str
) -> None:
    await emulator.fault(kind, count=1)
    submitted = (await emulator.submit(ANY)).json()
    last = (await emulator.follow(submitted))[-1]
    result = await emulator.http.get(submitted["response_url"])

    assert (last["status"], last["error_type"]) == ("COMPLETED", error_type)
    assert result.status_code == status
    assert result.headers["x-fal-request-id"] == submitted["request_id"]
    assert result.headers["x-fal-error-type"] == error_type
    assert isinstance(result.json()["detail"], list) == (kind == "422")
    assert result.headers.get("x-fal-request-timeout-type") == ("user" if kind == "504" else None)
    assert (await emulator.ledger())["submissions"][0]["outcome"] == "failed"


async def test_requeue_goes_back_to_the_queue_once(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    submitted = (
        await emulator.submit({"image_url": url}, x_emulator_fault="requeue", x_emulator_latency="400ms")
    ).json()
    statuses = [status["status"] for status in await emulator.follow(submitted)]

    assert statuses == ["IN_PROGRESS", "IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert (await emulator.http.get(submitted["response_url"])).status_code == 200


async def test_ignored_cancel_completes_normally(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    submitted = (await emulator.submit({"image_url": url}, x_emulator_latency="500ms")).json()
    await emulator.fault("cancel_ignored", count=1)
    cancelled = await emulator.http.put(submitted["cancel_url"])
    await emulator.follow(submitted)

    assert cancelled.status_code == 202
    assert (await emulator.http.get(submitted["response_url"])).status_code == 200
    assert (await emulator.ledger())["submissions"][0]["outcome"] == "succeeded"


async def test_expired_result_is_404(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    result = await emulator.result({"image_url": url}, x_fal_tags="emulator.fault=result_expired")

    listed = await emulator.http.get(
        "/v1/models/requests/by-endpoint", params={"endpoint_id": TRIPO, "expand": "payloads"}
    )

    assert result.status_code == 404
    assert "json_output" not in listed.json()["items"][0]
    assert (await emulator.ledger())["submissions"][0]["outcome"] == "succeeded"


async def test_model_file_truncated_or_missing(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    files = []
    for kind in ("model_truncated", "model_missing"):
        result = await emulator.result({"image_url": url}, x_emulator_fault=kind)
        files.append(await emulator.http.get(result.json()["model_mesh"]["url"]))
    truncated, missing = files

    assert truncated.content[:4] == b"glTF"
    assert int.from_bytes(truncated.content[8:12], "little") > len(truncated.content)
    assert missing.status_code == 404


async def test_null_mesh_puts_the_model_into_pbr_model(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    output = (await emulator.result({"image_url": url}, x_emulator_fault="null_mesh")).json()

    assert output["model_mesh"] is None
    assert (await emulator.http.get(output["pbr_model"]["url"])).content[:4] == b"glTF"


async def test_two_faults_for_one_request(emulator: RunningEmulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await emulator.submit(ANY, x_emulator_fault="drop_after_accept+500")
    await emulator.ended(emulator.state.ledger.generations[0])

    assert (await emulator.ledger())["submissions"][0]["outcome"] == "failed"


async def test_rate_and_delete(emulator: RunningEmulator) -> None:
    await emulator.fault("429", rate=1)
    refused = [(await emulator.submit(ANY)).status_code for _ in range(3)]
    await emulator.http.delete("/_emulator/faults")

    assert refused == [429] * 3
    assert (await emulator.submit(ANY)).status_code == 200


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "no_such", "count": 1},
        {"kind": "hang"},
        {"kind": "hang", "rate": 2},
        {"kind": "hang", "rate": 0.5, "count": 1},
        {"kind": "hang", "count": -1},
        {"kind": "hang", "count": 1, "value": 1},
        {"kind": "hang", "count": 1, "endpoint": "fal-ai/none"},
        {"kind": "hang", "count": 1, "endpiont": "fal-ai/trellis"},
        {"kind": "billable_units", "rate": 1},
        {"kind": "billable_units", "rate": 1, "value": "many"},
        {"kind": "billable_units", "rate": 1, "value": -1},
        {"kind": "billable_units", "rate": 1, "value": True},
        {"kind": "endpoint_down", "rate": 1, "value": "sideways"},
        {"kind": "file_stuck", "rate": 1, "value": "everything"},
        {"kind": "status_404", "rate": 1, "value": "NaN"},
    ],
)
async def test_wrong_fault_is_422(emulator: RunningEmulator, rule: dict[str, object]) -> None:
    assert (await emulator.http.post("/_emulator/faults", json=rule)).status_code == 422


def test_a_seed_repeats_the_draw() -> None:
    plans = [FaultPlan([FaultRule(Fault.HANG, rate=0.5)], seed=7) for _ in range(2)]
    draws = [[bool(plan.draw(Group.SUBMIT)) for _ in range(50)] for plan in plans]

    assert draws[0] == draws[1]
    assert 5 < sum(draws[0]) < 45
