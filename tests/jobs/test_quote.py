"""A quote: the upload's own verdicts and prices, and not a trace of it."""

from redis.asyncio import Redis

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Answer, Service, batch
from tests.support.sketches import picture
from tests.support.worker_steps import claim, succeed


def quote(service: Service, body: Body) -> Answer:
    return service.post("quote", bytes(body), content_type=CONTENT_TYPE)


async def test_quote_names_each_file_and_stores_nothing(service: Service, redis: Redis) -> None:
    keys = await redis.dbsize()
    cut = picture(fmt="JPEG", seed=9)[:-100]
    body = Body().file("a.png", picture(seed=1, size=(40, 30))).file("b.txt", b"no picture at all")
    answer = quote(service, body.file("c.jpg", cut).text("params", '{"texture":"HD"}'))
    assert answer.status == 200
    good, text, broken = answer.items("images")
    assert (good["filename"], good["ok"], good["width"], good["height"]) == ("a.png", True, 40, 30)
    assert good["cost_usd"] == 0.4
    assert (text["ok"], text["code"], text["cost_usd"]) == (False, "not_an_image", 0)
    assert (broken["filename"], broken["code"]) == ("c.jpg", "image_truncated")
    assert (answer.body["total_cost_usd"], answer.body["accepted"]) == (0.4, False)
    assert (service.stored(), await redis.dbsize()) == ([], keys)
    assert service.get("jobs").body["jobs"] == []


def test_quote_says_whether_an_upload_would_be_accepted(service: Service) -> None:
    mixed = batch(1, on_invalid="skip").file("x", b"no picture at all")
    assert quote(service, mixed).body["accepted"] is True
    assert service.upload(mixed).status == 202
    assert quote(service, batch(2)).body["total_cost_usd"] == 0.6


async def test_what_would_be_reused_costs_nothing(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(1)).text("job_id")
    (held,) = await claim(redis)
    await succeed(redis, held, job_id, service.files.as_uri())
    body = batch(2).file("again.png", picture(fmt="PNG", seed=1))
    images = quote(service, body).items("images")
    assert [image["cached"] for image in images] == [True, False, True]
    assert quote(service, body).body["total_cost_usd"] == 0.3
    assert quote(service, body.text("no_cache", "true")).body["total_cost_usd"] == 0.9


def test_quote_is_refused_as_the_upload_would_be(service: Service) -> None:
    for body in (batch(1, model="no/such"), batch(1, params='{"texture":"gold"}'), Body().text("model", "x")):
        told, uploaded = quote(service, body), service.upload(body)
        assert (told.status, told.code) == (uploaded.status, uploaded.code)
