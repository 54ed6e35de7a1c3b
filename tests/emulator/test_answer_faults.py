"""What status and result can say that FAL's own pages do not: odd words, odd bodies, nothing for a while."""

import asyncio

import httpx
import pytest

from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture


async def _ended(emulator: RunningEmulator, fault: str) -> tuple[dict[str, object], httpx.Response]:
    """The last status and the result."""
    arguments = {"image_url": await emulator.upload(picture())}
    submitted = (await emulator.submit(arguments, x_emulator_fault=fault)).json()
    last = (await emulator.follow(submitted))[-1]
    return last, await emulator.http.get(submitted["response_url"])


@pytest.mark.parametrize(
    ("fault", "word", "code"),
    [
        ("status_failed", "FAILED", 500),
        ("status_cancelled", "CANCELLED", 499),
        ("status_failed=result", "FAILED", 200),
        ("status_cancelled=result", "CANCELLED", 200),
    ],
)
async def test_words_that_sound_like_an_end(
    emulator: RunningEmulator, fault: str, word: str, code: int
) -> None:
    last, result = await _ended(emulator, fault)

    assert (last["status"], result.status_code) == (word, code)
    assert last["error"]
    assert last["error_type"]


async def test_safety_words_under_another_type(emulator: RunningEmulator) -> None:
    last, result = await _ended(emulator, "422_safety")
    (error,) = result.json()["detail"]

    assert (result.status_code, last["status"], error["type"]) == (422, "COMPLETED", "no_media_generated")
    assert "safety violations" in error["msg"]


async def test_error_in_a_good_result(emulator: RunningEmulator) -> None:
    last, result = await _ended(emulator, "result_error")

    assert (last["status"], result.status_code, set(result.json())) == ("COMPLETED", 200, {"error"})
    assert "error" not in last


async def test_html_and_list_as_results(emulator: RunningEmulator) -> None:
    _, page = await _ended(emulator, "result_html")
    _, listed = await _ended(emulator, "result_list")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert listed.status_code == 200
    assert "model_mesh" in listed.json()[0]


async def test_endpoint_down_as_the_result(emulator: RunningEmulator) -> None:
    last, result = await _ended(emulator, "endpoint_down=result")

    assert (result.status_code, last["error_type"]) == (500, "internal_error")
    assert len((await emulator.ledger())["submissions"]) == 1


async def test_endpoint_down_refuses_a_submit_with_fals_own_header(emulator: RunningEmulator) -> None:
    await emulator.fault("endpoint_down", rate=1, value="post")
    refused = await emulator.submit({"image_url": "data:,x"})

    assert (refused.status_code, "x-fal-request-id" in refused.headers) == (503, True)
    assert (await emulator.ledger())["submissions"] == []


async def test_status_is_unknown_for_a_while(emulator: RunningEmulator) -> None:
    arguments = {"image_url": await emulator.upload(picture())}
    submitted = (await emulator.submit(arguments, x_emulator_fault="status_404=0.4")).json()
    known = [await emulator.http.get(url) for url in _status_urls(submitted)]
    result = await emulator.http.get(submitted["response_url"])
    listed = await emulator.http.get(
        "/v1/models/requests/by-endpoint",
        params={"endpoint_id": TRIPO, "request_id": submitted["request_id"]},
    )
    await asyncio.sleep(0.4)
    later = [await emulator.http.get(url) for url in _status_urls(submitted)]

    assert [reply.status_code for reply in known] == [404, 404]
    assert known[0].json()["status"] == "NOT_FOUND"
    assert result.status_code in {200, 400}
    assert len(listed.json()["items"]) == 1
    assert [reply.status_code for reply in later] == [200, 200]


async def test_result_is_unknown_for_a_while(emulator: RunningEmulator) -> None:
    _, first = await _ended(emulator, "result_404=0.3")
    await asyncio.sleep(0.3)
    later = await emulator.http.get(first.url)

    assert (first.status_code, later.status_code) == (404, 200)


def _status_urls(submitted: dict[str, str]) -> tuple[str, str]:
    return submitted["status_url"], f"{submitted['status_url']}/stream"
