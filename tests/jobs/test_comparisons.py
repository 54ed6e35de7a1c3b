"""One upload for several models: a job for each, accepted as one, by one key and one decision."""

import json
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.http.upload import ReceivedFile
from image2model.jobs import idempotency
from image2model.jobs.accept import LostReplies
from image2model.jobs.idempotency import AcceptedResponse
from image2model.jobs.objects import ReceivedObject
from image2model.storage.address import open_storage
from image2model.storage.errors import ObjectMissing
from image2model.storage.objects import ObjectStorage
from image2model.store.arq_keys import queue_key
from image2model.store.keys import key
from tests.support import worker_steps
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Answer, MakeService, Service, batch
from tests.support.sketches import picture

TRIPO = "tripo3d/tripo/v2.5/image-to-3d"
H31 = "tripo3d/h3.1/image-to-3d"
TRIPOSR = "fal-ai/triposr"
MODELS = (TRIPO, H31, TRIPOSR)
UNKNOWN_PRICE = "fal-ai/hunyuan3d-v21"


def form(count: int = 2, models: tuple[str, ...] = MODELS, **fields: str) -> Body:
    body = batch(count, **fields)
    for model in models:
        body.text("model", model)
    return body


def quote(service: Service, body: Body) -> Answer:
    return service.post("quote", bytes(body), content_type=CONTENT_TYPE)


async def test_each_model_gets_a_job_of_one_comparison(service: Service, redis: Redis) -> None:
    answer = service.upload(form(variants="2"))
    assert answer.status == 202
    jobs = answer.items("jobs")
    assert [(job["model"], job["total"]) for job in jobs] == [(model, 4) for model in MODELS]
    assert {job["comparison_id"] for job in jobs} == {answer.text("comparison_id")}
    assert answer.headers["location"] == f"/api/v1/jobs?comparison={answer.text('comparison_id')}"
    for job in jobs:
        assert service.get(job["links"]["self"]).body == job
    assert await redis.zcard(queue_key("model_generation")) == 12


async def test_list_finds_the_jobs_of_a_comparison_alone(service: Service) -> None:
    answer, other = service.upload(form(metadata='{"sku":"A"}')), service.upload(form())
    service.upload(batch())
    listed = service.get(answer.headers["location"]).items("jobs")
    assert {job["job_id"] for job in listed} == {job["job_id"] for job in answer.items("jobs")}
    assert {job["comparison_id"] for job in listed} == {answer.text("comparison_id")}
    both = f"{answer.headers['location']}&metadata.sku=A"
    assert len(service.get(both).items("jobs")) == 3
    assert service.get(f"{other.headers['location']}&metadata.sku=A").body["jobs"] == []
    assert service.get(f"jobs?comparison={'0' * 32}").body["jobs"] == []
    assert service.get("jobs?comparison=x").code == "invalid_parameter"
    assert len(service.get("jobs").items("jobs")) == 7


async def test_every_job_owns_its_pictures(service: Service, redis: Redis) -> None:
    answer = service.upload(form())
    first, *others = answer.items("jobs")
    assert len(service.stored()) == 6
    for claim in await worker_steps.claim(redis, 6):
        await worker_steps.fail(redis, claim)
    assert service.send("DELETE", f"/api/v1/jobs/{first['job_id']}").status == 204
    assert service.get(first["links"]["self"]).status == 404
    for job in others:
        for number, image in enumerate(job["images"]):
            address = service.get(f"download/{job['job_id']}/{image['image_id']}?file=original")
            original = service.get(address.headers["location"])
            assert original.content == picture(fmt="PNG", seed=number)
    listed = service.get(answer.headers["location"]).items("jobs")
    assert {job["job_id"] for job in listed} == {job["job_id"] for job in others}


async def test_key_gives_the_whole_answer_again(service: Service, redis: Redis) -> None:
    body = form(variants="2")
    first = service.upload(body, idempotency_key="k")
    for claim in await worker_steps.claim(redis, 12):
        await worker_steps.fail(redis, claim)
    again = service.upload(body, idempotency_key="k")
    assert (again.status, again.body) == (202, first.body)
    assert (again.headers["idempotent-replayed"], again.headers["location"]) == (
        "true",
        first.headers["location"],
    )
    assert len(service.stored()) == 6
    assert len(service.get("jobs").items("jobs")) == 3
    for changed in (form(variants="2", models=MODELS[:2]), form(variants="2", models=MODELS[::-1])):
        assert service.upload(changed, idempotency_key="k").code == "idempotency_conflict"
    service.send("DELETE", f"/api/v1/jobs/{first.items('jobs')[1]['job_id']}")
    assert service.upload(body, idempotency_key="k").status == 404


async def test_key_that_an_earlier_release_has_bound_is_still_read(service: Service, redis: Redis) -> None:
    body = batch(1)
    first = service.upload(body, idempotency_key="k")
    name = next(iter(await redis.keys(key("idempotency", "*", "k"))))
    fingerprint, job_id, further = json.loads(await redis.get(name))
    assert (job_id, further) == (first.text("job_id"), [])
    await redis.set(name, json.dumps([fingerprint, job_id]), keepttl=True)
    assert service.upload(body, idempotency_key="k").body == first.body
    several = AcceptedResponse(fingerprint, job_id, ("b", "c"))
    assert msgspec.json.decode(idempotency.encode(several), type=AcceptedResponse) == several


async def test_parameters_are_common_or_by_model(service: Service) -> None:
    common = service.upload(form(1, (TRIPO, H31), params='{"texture_seed":7}'))
    assert [job["params"] for job in common.items("jobs")] == [{"texture_seed": 7}] * 2
    keyed = service.upload(form(1, params=json.dumps({H31: {"model_seed": 1}, TRIPO: {"texture": "HD"}})))
    assert [job["params"] for job in keyed.items("jobs")] == [{"texture": "HD"}, {"model_seed": 1}, {}]
    assert [job["estimated_cost_usd"] for job in keyed.items("jobs")] == [0.4, 0.3, 0.07]
    for params, words in (
        ({"model_seed": 1}, f"For {TRIPO}: 'model_seed' is not a parameter"),
        ({TRIPO: {"texture": "HD"}, "texture": "HD"}, "is not a parameter"),
        ({H31: 5}, "must be a JSON object"),
        ({H31: {"nothing": 1}}, f"For {H31}: 'nothing'"),
    ):
        refused = service.upload(form(1, params=json.dumps(params)))
        assert (refused.status, refused.code) == (422, "invalid_parameter")
        assert words in refused.text("detail")
    limited = service.upload(form(1, (TRIPO, TRIPOSR), face_limit="5000"))
    assert (limited.status, TRIPOSR in limited.text("detail")) == (422, True)
    assert len(service.get("jobs").items("jobs")) == 5


@pytest.mark.parametrize(
    ("models", "code"),
    [
        ((TRIPO, H31, TRIPO), "invalid_parameter"),
        ((TRIPO, "no/such"), "unknown_model"),
        (tuple(f"fal-ai/{number}" for number in range(9)), "invalid_parameter"),
    ],
)
async def test_wrong_models_are_refused_as_a_whole(
    service: Service, redis: Redis, models: tuple[str, ...], code: str
) -> None:
    keys = await redis.dbsize()
    refused = service.upload(form(1, models))
    assert (refused.status, refused.code) == (422, code)
    assert quote(service, form(1, models)).text("detail") == refused.text("detail")
    assert (service.stored(), await redis.dbsize()) == ([], keys)


async def test_bad_picture_refuses_all_or_is_left_out_of_all(service: Service) -> None:
    bad = form(1).file("x.txt", b"no picture at all")
    assert service.upload(bad).code == "not_an_image"
    assert service.stored() == []
    answer = service.upload(bad.text("on_invalid", "skip"))
    assert [(job["total"], job["rejected"][0]["file"]) for job in answer.items("jobs")] == [(1, "x.txt")] * 3


def test_quote_has_one_total(service: Service) -> None:
    body = form(variants="4")
    answer = quote(service, body)
    assert (answer.body["total_cost_usd"], answer.body["accepted"], answer.body["refusal"]) == (
        5.36,
        True,
        None,
    )
    quotes = answer.items("quotes")
    assert [one["model"] for one in quotes] == list(MODELS)
    assert [one["total_cost_usd"] for one in quotes] == [2.4, 2.4, 0.56]
    assert [[warning["code"] for warning in one["warnings"]] for one in quotes] == [[], [], ["no_seed"]]
    uploaded = service.upload(body)
    assert sum(job["estimated_cost_usd"] for job in uploaded.items("jobs")) == pytest.approx(5.36)


async def test_limit_is_for_all_models_together(service: Service, redis: Redis) -> None:
    keys = await redis.dbsize()
    body = form(variants="4", max_cost_usd="5.35")
    told, refused = quote(service, body), service.upload(body)
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert "24 models would cost $5.36" in refused.text("detail")
    assert told.body["accepted"] is False
    assert told.body["refusal"] == {"code": "budget_exceeded", "detail": refused.text("detail")}
    assert (service.stored(), await redis.dbsize()) == ([], keys)
    assert service.upload(form(variants="4", max_cost_usd="5.36")).status == 202


async def test_what_is_left_of_the_limit_is_for_models_without_a_price(
    make_service: MakeService, redis: Redis
) -> None:
    service = make_service(models="*")
    models = (TRIPO, UNKNOWN_PRICE, TRIPOSR)
    refused = service.upload(form(2, models))
    assert (refused.status, refused.code) == (402, "price_unknown")
    assert quote(service, form(2, models)).body["total_cost_usd"] is None
    answer = service.upload(form(2, models, max_cost_usd="2"))
    assert answer.status == 202, answer.content
    limits = [
        (
            int((await redis.hget(key("job", job["job_id"]), "max_cost_micro")) or 0),
            int((await redis.hget(key("image", job["images"][0]["image_id"]), "unit_micro")) or 0),
        )
        for job in answer.items("jobs")
    ]
    assert limits == [(600_000, 300_000), (1_260_000, 630_000), (140_000, 70_000)]
    account = await redis.hgetall(key("account", "local"))
    assert account[b"reserved"] == b"2000000"


async def test_storage_that_fails_leaves_nothing(redis: Redis, tmp_path: Path) -> None:
    storage = open_storage(tmp_path.as_uri())
    lost = LostReplies(redis, storage)
    with pytest.raises(ObjectMissing):
        await _copy_after_a_loss(lost, storage)
    await lost.finish()
    assert [found.key async for found in storage.list()] == []


async def _copy_after_a_loss(lost: LostReplies, storage: ObjectStorage) -> None:
    """Nine pictures and a job's copies of them; one is lost before those of the next job are made."""
    files = [ReceivedFile(number, f"{number}.png", 3, "0", "png", 1, 1) for number in range(9)]
    objects = [ReceivedObject(name=one.filename, views=(one,), sides=("",), grouped=False) for one in files]
    async with lost.originals() as originals:
        for one in files:
            await originals.put(one, b"png")
        await originals.copied(objects)
        (first, *_) = [found.key async for found in storage.list(f"originals/{originals.job_id}")]
        await storage.delete([first])
        assert len([found async for found in storage.list()]) == 17
        await originals.copied(objects)


async def test_processes_of_the_release_before_get_none_of_it(service: Service, redis: Redis) -> None:
    await redis.hset(key("store"), "version", "3")
    keys = await redis.dbsize()
    for body in (form(), batch(1, variants="2")):
        refused = service.upload(body)
        assert (refused.status, refused.code) == (503, "store_unavailable")
        assert "variants, comparisons" in refused.text("detail")
    assert (service.stored(), await redis.dbsize()) == ([], keys)
    assert service.upload(batch(1)).status == 202
    await redis.hset(key("store"), "version", "4")
    assert service.upload(form()).status == 202
