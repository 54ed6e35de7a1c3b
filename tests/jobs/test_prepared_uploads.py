"""The form of prepared pictures: what it refuses, what it quotes, what it sets aside, and what is shown."""

import io
from typing import Any

import pytest
from PIL import Image
from redis.asyncio import Redis

from image2model.store.keys import key
from tests.support.fleet import MODEL, Fleet
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Answer, MakeService, Service, batch
from tests.support.sketches import picture
from tests.support.wait import until

REMOVER = "fal-ai/bria/background/remove"
BIREFNET = "fal-ai/birefnet"


def quote(service: Service, body: Body) -> dict[str, object]:
    answer = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    assert answer.status == 200, answer.content
    return answer.body


def image_of(answer: Answer) -> dict[str, Any]:
    (image,) = answer.items("images")
    return image


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"remove_background": MODEL}, "invalid_parameter", "removes no background"),
        ({"remove_background": "no/such"}, "unknown_model", "no/such"),
        ({"model": REMOVER}, "invalid_parameter", "makes no model"),
        ({"crop": "maybe"}, "invalid_parameter", "`crop` must be true or false"),
        ({"pad_square": "2"}, "invalid_parameter", "`pad_square`"),
        ({"confirm_prepared": "yess"}, "invalid_parameter", "`confirm_prepared`"),
    ],
)
def test_wrong_field_is_refused_with_advice(
    service: Service, fields: dict[str, str], code: str, words: str
) -> None:
    answer = service.upload(batch(1, **fields))
    assert (answer.status, answer.code) == (422, code)
    assert words in answer.text("detail")
    assert service.stored() == []


def test_remover_without_a_known_price_needs_a_limit(make_service: MakeService) -> None:
    service = make_service(models="*")
    body = batch(remove_background=BIREFNET)
    refused = service.upload(body)
    assert (refused.status, refused.code) == (402, "price_unknown")
    assert BIREFNET in refused.text("detail")
    assert service.upload(body.text("max_cost_usd", "0.5")).status == 202


def test_limit_of_the_batch_covers_the_preparation_too(service: Service) -> None:
    body = batch(2, remove_background="true", max_cost_usd="0.63")
    answer = service.upload(body)
    assert (answer.status, answer.code) == (402, "budget_exceeded")
    assert "$0.64" in answer.text("detail")
    assert service.upload(batch(2, remove_background="true", max_cost_usd="0.64")).status == 202


def test_quote_counts_each_background_that_has_to_be_removed(service: Service) -> None:
    told = quote(service, batch(2, remove_background="true"))
    assert (told["preparation_cost_usd_each"], told["total_cost_usd"]) == (0.018, 0.636)
    twice = batch(1, remove_background="true", no_cache="true").file("again.png", picture(fmt="PNG", seed=0))
    assert quote(service, twice)["total_cost_usd"] == 0.636
    plain = quote(service, batch(2, crop="true", pad_square="true"))
    assert (plain["preparation_cost_usd_each"], plain["total_cost_usd"]) == (0.0, 0.6)


def test_document_says_what_is_done_with_the_picture(service: Service) -> None:
    answer = service.upload(batch(remove_background=REMOVER, pad_square="true", confirm_prepared="true"))
    assert answer.status == 202
    assert image_of(answer)["preparation"] == {
        "remove_background": REMOVER,
        "crop": False,
        "pad_square": True,
        "confirm_prepared": True,
        "files": [],
        "cost_usd": 0.0,
        "fal_request_ids": [],
    }
    assert answer.body["estimated_cost_usd"] == 0.318
    assert image_of(answer)["waiting_for"] is None
    assert image_of(service.upload(batch()))["preparation"] is None


async def test_limit_is_shared_by_the_model_and_each_view(make_service: MakeService, redis: Redis) -> None:
    """Nobody knows before the run what the model costs: it gets what the backgrounds leave."""
    service = make_service(models="*")
    body = Body()
    for side in ("front", "back"):
        head = f'Content-Disposition: form-data; name="objects[chair][{side}]"; filename="{side}.png"'
        body.part(head, picture(fmt="PNG", seed=len(side)))
    body.text("model", "tripo3d/tripo/v2.5/multiview-to-3d").text("remove_background", "true")
    answer = service.upload(body.text("max_cost_usd", "0.5"))
    assert answer.status == 202
    (account,) = [name async for name in redis.scan_iter(key("account", "*"))]
    assert int(await redis.hget(account, "reserved") or 0) == 500_000
    row = await redis.hgetall(key("image", image_of(answer)["image_id"]))
    kept = {name.decode(): value.decode() for name, value in row.items()}
    assert (kept["unit_micro"], kept["cutout_micro"], kept["later_micro"]) == ("500000", "18000", "482000")


def test_same_form_under_one_key_is_one_job(service: Service) -> None:
    body = batch(remove_background="true")
    first, again = (service.upload(body, idempotency_key="chair-1") for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert first.body == again.body
    other = service.upload(batch(remove_background="true", crop="true"), idempotency_key="chair-1")
    assert other.code == "idempotency_conflict"


async def test_prepared_picture_is_shown_confirmed_and_sent(fleet: Fleet, make_service: MakeService) -> None:
    """By pixels: a red rectangle on white, cropped to it and padded to a square."""
    service = make_service(fal_base_url=fleet.emulator.url)
    fleet.start_worker()
    drawn = Image.new("RGB", (60, 40), "white")
    drawn.paste((200, 0, 0), (10, 10, 30, 20))
    out = io.BytesIO()
    drawn.save(out, "PNG")
    body = Body().file("chair.png", out.getvalue())
    for name in ("crop", "pad_square", "confirm_prepared"):
        body.text(name, "true")
    job_id = service.upload(body).text("job_id")

    async def waits() -> bool:
        return service.get(f"status/{job_id}").body["waiting_for"] == "confirmation"

    await until(waits, timeout=40)
    image = image_of(service.get(f"status/{job_id}"))
    assert (image["status"], image["waiting_for"]) == ("queued", "confirmation")
    (file,) = image["preparation"]["files"]
    assert file["kind"] == "prepared"
    link = service.get(file["url"])
    assert link.status == 307
    shown = service.get(link.headers["location"])
    assert 'filename="chair-prepared.png"' in shown.headers["content-disposition"]
    with Image.open(io.BytesIO(shown.content)) as prepared:
        assert prepared.size == (20, 20)
        assert prepared.convert("RGB").getpixel((10, 0)) == (255, 255, 255)
        assert prepared.convert("RGB").getpixel((0, 10)) == (200, 0, 0)
        assert prepared.convert("RGB").getpixel((19, 5)) == (200, 0, 0)
    assert fleet.emulator.submissions() == []
    path = f"jobs/{job_id}/images/{image['image_id']}/confirm"
    bad = service.post(path, b'{"accept": "yes"}')
    assert (bad.status, bad.code) == (422, "invalid_parameter")
    first, again = (service.post(path, idempotency_key="look-1") for _ in range(2))
    assert (first.status, again.status, again.headers["idempotent-replayed"]) == (202, 202, "true")
    assert image_of(first)["waiting_for"] is None
    other = service.post(path, b'{"accept": false}', idempotency_key="look-1")
    assert other.code == "idempotency_conflict"

    async def done() -> bool:
        return service.get(f"status/{job_id}").body["status"] == "succeeded"

    await until(done, timeout=40)
    (sent,) = fleet.emulator.submissions()
    uploaded = fleet.emulator.http.get(sent["input"]["image_url"]).content
    assert uploaded == shown.content
    refused = service.post(path, b'{"accept": false}')
    assert (refused.status, refused.code) == (409, "already_finished")


@pytest.mark.long
async def test_costs_of_both_requests_add_up_wherever_they_are_shown(
    fleet: Fleet, make_service: MakeService
) -> None:
    service = make_service(fal_base_url=fleet.emulator.url)
    fleet.start_worker()
    job_id = service.upload(batch(remove_background="true")).text("job_id")

    async def done() -> bool:
        return service.get(f"status/{job_id}").body["status"] == "succeeded"

    await until(done, timeout=40)
    document = service.get(f"status/{job_id}")
    image = image_of(document)
    ids = [entry["request_id"] for entry in fleet.emulator.submissions()]
    assert (image["cost_usd"], document.body["cost_usd"]) == (0.318, 0.318)
    assert image["preparation"]["cost_usd"] == 0.018
    assert (image["preparation"]["fal_request_ids"], image["fal_request_id"]) == ([ids[0]], ids[1])
    spent: dict[str, int] = {}
    async for name in fleet.redis.scan_iter(key("spend", "*")):
        spent |= {field.decode(): int(value) for field, value in (await fleet.redis.hgetall(name)).items()}
    assert {field.split(" ")[1]: value for field, value in spent.items()} == {REMOVER: 18_000, MODEL: 300_000}
    again = quote(service, batch(remove_background="true"))
    assert again["total_cost_usd"] == 0.0
    other = quote(service, batch(remove_background="true", params='{"texture":"HD"}'))
    assert (other["total_cost_usd"], other["preparation_cost_usd_each"]) == (0.4, 0.018)


@pytest.mark.long
async def test_every_view_is_prepared_and_shown(fleet: Fleet, make_service: MakeService) -> None:
    service = make_service(fal_base_url=fleet.emulator.url, models="*")
    fleet.start_worker()
    body = Body()
    for side, size in (("front", (60, 40)), ("back", (30, 50))):
        head = f'Content-Disposition: form-data; name="objects[chair][{side}]"; filename="{side}.png"'
        body.part(head, picture(fmt="PNG", seed=len(side), size=size))
    body.text("model", "tripo3d/tripo/v2.5/multiview-to-3d").text("max_cost_usd", "1")
    body.text("pad_square", "true").text("confirm_prepared", "true")
    job_id = service.upload(body).text("job_id")

    async def waits() -> bool:
        return bool(image_of(service.get(f"status/{job_id}"))["waiting_for"] == "confirmation")

    await until(waits, timeout=40)
    files = image_of(service.get(f"status/{job_id}"))["preparation"]["files"]
    assert [file["kind"] for file in files] == ["prepared", "prepared-2"]
    sides = []
    for file in files:
        shown = service.get(service.get(file["url"]).headers["location"])
        with Image.open(io.BytesIO(shown.content)) as prepared:
            sides.append(prepared.size)
    assert sides == [(60, 60), (50, 50)]
    assert 'filename="chair-prepared-2.png"' in shown.headers["content-disposition"]
    gone = service.get(f"download/{job_id}/{files[0]['url'].split('/')[5].split('?')[0]}?file=prepared-3")
    assert gone.status in (404, 409)
