"""Expiry, access lists, signed addresses and the deletion of payloads, as FAL documents them."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from fal_emulator.access import Signatures
from tests.support.emulator import TRIPO, RunningEmulator
from tests.support.sketches import picture

ADMIN = {"Authorization": "Key admin-id:secret"}
FORBID: dict[str, Any] = {"initial_acl": {"default": "forbid", "rules": []}}


def preference(**fields: object) -> str:
    return json.dumps(fields)


async def finished(
    emulator: RunningEmulator, fault: str = "", **fields: object
) -> tuple[str, dict[str, Any]]:
    """The id and the output of a request with this lifecycle preference."""
    headers = {"x_fal_object_lifecycle_preference": preference(**fields)} if fields else {}
    if fault:
        headers["x_emulator_fault"] = fault
    url = await emulator.upload(picture())
    submitted = (await emulator.submit({"image_url": url}, **headers)).json()
    await emulator.follow(submitted)
    return submitted["request_id"], dict((await emulator.http.get(submitted["response_url"])).json())


async def held(emulator: RunningEmulator) -> dict[str, Any]:
    return dict((await emulator.http.get("/_emulator/privacy")).json())


async def delete(emulator: RunningEmulator, request_id: str, **headers: str) -> httpx.Response:
    url = f"/v1/models/requests/{request_id}/payloads"
    return await emulator.http.delete(url, headers=headers or ADMIN)


async def sign(emulator: RunningEmulator, url: str, seconds: object = 60) -> httpx.Response:
    body = {"expiration_seconds": seconds}
    return await emulator.http.post("/v1/storage/files/sign", params={"url": url}, json=body)


@pytest.mark.parametrize("name", ["X-Fal-Object-Lifecycle", "X-Fal-Object-Lifecycle-Preference"])
async def test_upload_expires(emulator: RunningEmulator, name: str) -> None:
    headers = {name: preference(expiration_duration_seconds=1), "X-Fal-File-Name": "a.png"}
    url = (await emulator.http.post("/files/upload", content=b"x", headers=headers)).json()["access_url"]
    assert (await emulator.http.get(url)).status_code == 200
    async with asyncio.timeout(60):
        while (await emulator.http.get(url)).status_code != 404:
            await asyncio.sleep(0.05)
    assert (await held(emulator))["files"] == []


async def test_initiated_and_multipart_uploads_have_their_preference_too(emulator: RunningEmulator) -> None:
    headers = {"X-Fal-Object-Lifecycle-Preference": preference(expiration_duration_seconds=100)}
    slot = (await emulator.http.post("/storage/upload/initiate", json={}, headers=headers)).json()
    await emulator.http.put(slot["upload_url"], content=b"x")
    part = (await emulator.http.post("/files/upload/multipart", headers=headers)).json()
    upload = f"{part['access_url']}/multipart/{part['uploadId']}"
    await emulator.http.put(f"{upload}/1", content=b"y")
    await emulator.http.post(f"{upload}/complete")
    assert [0 < file["expires_in"] <= 100 for file in (await held(emulator))["files"]] == [True, True]


@pytest.mark.parametrize(
    "wrong", ["{", "[]", preference(expiration_duration_seconds=0), preference(initial_acl={"default": "x"})]
)
async def test_wrong_preference_is_refused(emulator: RunningEmulator, wrong: str) -> None:
    headers = {"X-Fal-Object-Lifecycle-Preference": wrong}
    upload = await emulator.http.post("/files/upload", content=b"x", headers=headers)
    submit = await emulator.submit({}, TRIPO, x_fal_object_lifecycle_preference=wrong)
    assert (upload.status_code, submit.status_code) == (422, 400)


@pytest.mark.parametrize(("decision", "status"), [("allow", 200), ("forbid", 403), ("hide", 404)])
async def test_output_follows_its_access_list_and_a_signed_address_opens_it(
    emulator: RunningEmulator, decision: str, status: int
) -> None:
    _, output = await finished(emulator, initial_acl={"default": decision})
    url = output["model_mesh"]["url"]
    assert (await emulator.http.get(url)).status_code == status
    signed = (await sign(emulator, url)).json()["signed_url"]
    assert (await emulator.http.get(signed)).content[:4] == b"glTF"
    assert (await emulator.http.get(f"{signed}0")).status_code == status


async def test_inputs_are_not_covered_by_the_requests_preference(emulator: RunningEmulator) -> None:
    await finished(emulator, **FORBID)
    acls = {(file["kind"], file["acl"]) for file in (await held(emulator))["files"]}
    assert acls == {("input", "allow"), ("output", "forbid")}


async def test_access_list_is_shown_and_replaced(emulator: RunningEmulator) -> None:
    url = await emulator.upload(b"x")
    acl = "/v1/storage/files/acl"
    asked = {"url": url}
    rules = [{"user": "nobody", "decision": "allow"}, {"user": "emulator-user", "decision": "allow"}]
    put = await emulator.http.put(acl, params=asked, json={"default": "hide", "rules": rules})
    assert put.json() == {"default": "hide", "rules": rules[1:]}
    assert (await emulator.http.get(acl, params=asked)).json() == put.json()
    assert (await emulator.http.get(url)).status_code == 404
    assert (await emulator.http.put(acl, params=asked, json={"default": "no"})).status_code == 422
    assert (await emulator.http.get(acl, params=asked, headers={"authorization": ""})).status_code == 401


@pytest.mark.parametrize("seconds", [0, 7 * 86_400 + 1, "x", None])
async def test_only_up_to_seven_days_are_signed(emulator: RunningEmulator, seconds: object) -> None:
    url = await emulator.upload(b"x")
    assert (await sign(emulator, url, seconds)).status_code == 422
    assert (await sign(emulator, url, 7 * 86_400)).status_code == 200


async def test_signing_what_is_not_a_file_of_the_cdn(emulator: RunningEmulator) -> None:
    url = await emulator.upload(b"x")
    assert (await sign(emulator, f"{url}?a=1")).status_code == 422
    assert (await sign(emulator, "https://example.com/a")).status_code == 422
    assert (await sign(emulator, f"{emulator.url}/files/no/a")).status_code == 404


async def test_signing_fails_or_runs_out(emulator: RunningEmulator) -> None:
    _, output = await finished(emulator, **FORBID)
    url = output["model_mesh"]["url"]
    await emulator.fault("sign_fails", count=1, value="403")
    await emulator.fault("sign_expired", count=1)
    statuses = [(await sign(emulator, url)).status_code for _ in range(2)]
    assert sorted(statuses) == [200, 403]
    late = (await sign(emulator, url)).json()["signed_url"]
    assert (await emulator.http.get(late)).status_code == 200


def test_a_signature_is_for_one_file_and_one_time() -> None:
    signatures = Signatures()
    query = signatures.query("files/a/b", 60)
    assert signatures.opens("files/a/b", query)
    assert not signatures.opens("files/a/c", query)
    assert not Signatures().opens("files/a/b", query)
    assert not signatures.opens("files/a/b", signatures.query("files/a/b", -1))
    assert not signatures.opens("files/a/b", "")


async def test_late_preview_comes_later(emulator: RunningEmulator) -> None:
    _, output = await finished(emulator, "preview_late=1")
    url = output["rendered_image"]["url"]
    assert (await emulator.http.get(url)).status_code == 404
    async with asyncio.timeout(60):
        while (await emulator.http.get(url)).status_code != 200:
            await asyncio.sleep(0.05)


async def test_partners_file_is_public_and_stays(emulator: RunningEmulator) -> None:
    request_id, output = await finished(emulator, "preview_elsewhere", **FORBID)
    url = output["rendered_image"]["url"]
    assert (await emulator.http.get(url)).status_code == 200
    assert (await delete(emulator, request_id)).status_code == 200
    assert (await emulator.http.get(url)).status_code == 200
    left = [file for file in (await held(emulator))["files"] if file["kind"] == "output"]
    assert [file["partner"] for file in left] == [True]


async def test_deletion_removes_payloads_and_outputs_but_no_input(emulator: RunningEmulator) -> None:
    request_id, output = await finished(emulator, **FORBID)
    before = await held(emulator)
    assert before["payloads"] == [request_id]
    links = [f"{emulator.url}/{file['path']}" for file in before["files"] if file["request_id"] == request_id]
    results = (await delete(emulator, request_id)).json()["cdn_delete_results"]
    assert sorted(one["link"] for one in results) == sorted(links)
    assert {one["exception"] for one in results} == {None}
    after = await held(emulator)
    assert after["payloads"] == []
    assert [file["kind"] for file in after["files"]] == ["input"]
    assert (await sign(emulator, output["model_mesh"]["url"])).status_code == 404
    listed = await emulator.http.get(
        "/v1/models/requests/by-endpoint", params={"endpoint_id": TRIPO, "expand": "payloads"}
    )
    assert not {"json_input", "json_output"} & set(listed.json()["items"][0])
    assert (await delete(emulator, request_id)).json() == {"cdn_delete_results": []}
    statuses = [(one["status"], one["phase"]) for one in (await held(emulator))["deletions"]]
    assert statuses == [(200, "COMPLETED"), (200, "COMPLETED")]


async def test_deletion_needs_an_admin_key_and_a_request_that_has_ended(emulator: RunningEmulator) -> None:
    await emulator.settings(concurrency=0)
    url = await emulator.upload(picture())
    request_id = (await emulator.submit({"image_url": url})).json()["request_id"]
    assert (await delete(emulator, request_id, authorization="")).status_code == 401
    assert (await delete(emulator, request_id, authorization="Key user:x")).status_code == 403
    assert (await delete(emulator, request_id)).status_code == 400
    assert (await delete(emulator, "unknown")).status_code == 404
    assert (await held(emulator))["payloads"] == [request_id]


async def test_deletion_that_fails_leaves_something(emulator: RunningEmulator) -> None:
    request_id, _ = await finished(emulator)
    await emulator.fault("delete_500", count=1)
    assert (await delete(emulator, request_id)).status_code == 500
    await emulator.fault("admin_refused", count=1, value="401")
    assert (await delete(emulator, request_id)).status_code == 401
    await emulator.fault("delete_fails", count=1)
    results = (await delete(emulator, request_id)).json()["cdn_delete_results"]
    assert sum(1 for one in results if one["exception"]) == 1
    found = await held(emulator)
    assert found["payloads"] == [request_id]
    assert [file["kind"] for file in found["files"]].count("output") == 1
    assert (await delete(emulator, request_id)).status_code == 200
    assert (await held(emulator))["payloads"] == []


async def test_reads_with_a_key_and_store_io_are_seen(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    await emulator.http.get(url)
    await emulator.submit({"image_url": url}, x_fal_store_io="0")
    found = await held(emulator)
    assert (found["keyed_reads"], found["store_io"]) == (1, ["0"])
