"""Variants: several models of one picture, each with a seed of its own, by one job."""

from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.errors import InvalidParameter
from image2model.fal.endpoints import Catalogue, Endpoint, EndpointSchema, Parameter
from image2model.generation import loading
from image2model.jobs.batch_request import BatchRequest
from image2model.jobs.variants import bounds, draw
from image2model.store.keys import key
from tests.support import worker_steps
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import PNG, Answer, MakeService, Service, batch
from tests.support.sketches import picture

TRIPO = "tripo3d/tripo/v2.5/image-to-3d"
WITH_MODEL_SEED = "tripo3d/h3.1/image-to-3d"
WITHOUT_SEED = "fal-ai/triposr"


def quote(service: Service, body: Body) -> Answer:
    return service.post("quote", bytes(body), content_type=CONTENT_TYPE)


async def runs(redis: Redis, job: Answer) -> list[loading.Task]:
    return [await loading.load(redis, image["image_id"]) for image in job.items("images")]


async def test_each_picture_gets_its_variants_one_after_the_other(service: Service, redis: Redis) -> None:
    job = service.upload(batch(2, variants="3", params='{"texture":"HD"}'))
    assert (job.status, job.body["total"], job.body["estimated_cost_usd"]) == (202, 6, 2.4)
    images = job.items("images")
    assert [(one["filename"], one["variant"]) for one in images] == [
        (f"{picture}.png", number) for picture in range(2) for number in (1, 2, 3)
    ]
    seeds = [one["seed"] for one in images]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert [one.params for one in await runs(redis, job)] == [
        {"seed": seed, "texture": "HD"} for seed in seeds
    ]
    assert (job.body["params"], job.body["warnings"]) == ({"texture": "HD"}, [])
    assert service.get(job.headers["location"]).body == job.body


async def test_variants_share_the_stored_picture_and_show_it(service: Service, redis: Redis) -> None:
    job = service.upload(batch(1, variants="3"))
    (stored,) = service.stored()
    assert {one.source_key for one in await runs(redis, job)} == {stored}
    for image in job.items("images"):
        assert [view["filename"] for view in image["views"]] == ["0.png"]
        address = service.get(f"download/{job.text('job_id')}/{image['image_id']}?file=original")
        assert service.get(address.headers["location"]).content == picture(fmt="PNG", seed=0)
        assert service.get(f"images/{job.text('job_id')}/{image['image_id']}/thumbnail").status == 200


async def test_objects_of_several_views_have_variants_too(make_service: MakeService, redis: Redis) -> None:
    service = make_service(models="*")
    body = Body().text("model", "tripo3d/tripo/v2.5/multiview-to-3d").text("variants", "2")
    for side in ("front", "back"):
        head = f'Content-Disposition: form-data; name="objects[chair][{side}]"; filename="{side}.png"'
        body.part(head, picture(fmt="PNG", seed=len(side)))
    job = service.upload(body.text("max_cost_usd", "1"))
    assert job.status == 202, job.content
    first, second = job.items("images")
    assert [view["side"] for view in first["views"]] == ["front", "back"]
    assert first["views"] == second["views"]
    assert [one.views for one in await runs(redis, job)] == [(await runs(redis, job))[0].views] * 2
    assert len(service.stored()) == 2
    account = await redis.hgetall(key("account", "local"))
    assert account[b"reserved"] == b"1000000"


async def test_seed_among_the_parameters_is_the_first_variants(service: Service, redis: Redis) -> None:
    form = {"model": WITH_MODEL_SEED, "params": '{"model_seed":0,"texture_seed":7}'}
    job = service.upload(batch(2, variants="2", **form))
    seeds = [one["seed"] for one in job.items("images")]
    assert (seeds[0], seeds[2], len({0, *seeds})) == (0, 0, 3)
    assert [one.params for one in await runs(redis, job)] == [
        {"model_seed": seed, "texture_seed": 7} for seed in seeds
    ]


async def test_without_variants_nothing_is_drawn(service: Service, redis: Redis) -> None:
    job = service.upload(batch(1, params='{"seed":5}'))
    (image,) = job.items("images")
    assert (image["variant"], image["seed"], job.body["comparison_id"]) == (None, None, None)
    assert await redis.hget(key("image", image["image_id"]), "params") is None


async def test_one_variant_has_a_recorded_seed(service: Service) -> None:
    (image,) = service.upload(batch(1, variants="1")).items("images")
    assert image["variant"] == 1
    assert image["seed"] >= 0


@pytest.mark.parametrize("value", ["0", "11", "-1", "1.5", "many", " ", "010"])
def test_wrong_number_is_refused(service: Service, value: str) -> None:
    answer = service.upload(batch(1, variants=value))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert "from 1 to 10" in answer.text("detail")
    assert (service.stored(), service.get("jobs").body["jobs"]) == ([], [])


async def test_same_form_is_drawn_and_paid_again_but_not_under_its_key(
    service: Service, redis: Redis
) -> None:
    body = batch(1, variants="2")
    job = service.upload(body, idempotency_key="k")
    for claim in await worker_steps.claim(redis, 2):
        await worker_steps.succeed(redis, claim, job.text("job_id"), service.files.as_uri())
    again = service.upload(body, idempotency_key="k")
    assert (again.body, again.headers["idempotent-replayed"]) == (job.body, "true")
    other = service.upload(body)
    seeds = {one["seed"] for answer in (job, other) for one in answer.items("images")}
    assert len(seeds) == 4
    assert len(await worker_steps.claim(redis, 4)) == 2
    conflict = service.upload(batch(1, variants="3"), idempotency_key="k")
    assert conflict.code == "idempotency_conflict"


async def test_named_seed_reuses_what_it_has_made(service: Service, redis: Redis) -> None:
    job = service.upload(batch(1, params='{"seed":5}'))
    (claim,) = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, claim, job.text("job_id"), service.files.as_uri())
    form = batch(1, params='{"seed":5}', variants="3")
    (image,) = quote(service, form).items("images")
    assert (image["cached"], image["cost_usd"]) == (False, 0.6)
    first, second, _ = await runs(redis, service.upload(form))
    assert first.digest == (await runs(redis, job))[0].digest != second.digest


async def test_endpoint_without_a_seed_makes_each_variant_once(service: Service, redis: Redis) -> None:
    form = batch(1, model=WITHOUT_SEED, variants="3")
    plain = service.upload(batch(1, model=WITHOUT_SEED))
    job = service.upload(form)
    assert [one["seed"] for one in job.items("images")] == [None] * 3
    assert [one["code"] for one in job.items("warnings")] == ["no_seed"]
    assert service.get(job.headers["location"]).body["warnings"] == job.body["warnings"]
    drawn = await runs(redis, job)
    assert [one.params for one in drawn] == [{}] * 3
    digests = [one.digest for one in drawn]
    assert (digests[0], len(set(digests))) == ((await runs(redis, plain))[0].digest, 3)
    assert [one.digest for one in await runs(redis, service.upload(form))] == digests


async def test_quote_counts_what_is_made_of_each_picture(service: Service, redis: Redis) -> None:
    answer = quote(service, batch(2, variants="4"))
    assert (answer.body["variants"], answer.body["cost_usd_each"]) == (4, 0.3)
    assert [one["cost_usd"] for one in answer.items("images")] == [1.2, 1.2]
    assert (answer.body["total_cost_usd"], answer.body["good"], answer.body["warnings"]) == (2.4, 2, [])
    chance = batch(1, model=WITHOUT_SEED, variants="3")
    assert [one["code"] for one in quote(service, chance).items("warnings")] == ["no_seed"]
    job = service.upload(chance)
    for claim in await worker_steps.claim(redis, 3):
        await worker_steps.succeed(redis, claim, job.text("job_id"), service.files.as_uri())
    (image,) = quote(service, chance).items("images")
    assert (image["cached"], image["cost_usd"]) == (True, 0)
    (image,) = quote(service, batch(1, model=WITHOUT_SEED, variants="5")).items("images")
    assert (image["cached"], image["cost_usd"]) == (False, 0.14)
    assert quote(service, batch()).body["variants"] is None


def test_most_that_they_may_cost_is_for_all(service: Service) -> None:
    dear = batch(2, variants="4", max_cost_usd="2.39")
    refusal = quote(service, dear).body["refusal"]
    refused = service.upload(dear)
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    assert refusal == {"code": "budget_exceeded", "detail": refused.text("detail")}
    assert "8 models would cost $2.40" in refused.text("detail")
    assert service.upload(batch(2, variants="4", max_cost_usd="2.40")).status == 202


async def test_number_of_files_counts_objects(service: Service) -> None:
    assert service.upload(batch(25, variants="2")).body["total"] == 50
    assert service.upload(batch(26, variants="2")).code == "too_many_files"


async def failed(service: Service, redis: Redis, **form: str) -> Answer:
    job = service.upload(batch(1, variants="3", **form))
    for claim in await worker_steps.claim(redis, 3):
        await worker_steps.fail(redis, claim)
    return job


async def test_retry_keeps_each_seed(service: Service, redis: Redis) -> None:
    job = await failed(service, redis)
    seeds = [one["seed"] for one in job.items("images")]
    path = f"jobs/{job.text('job_id')}/retry"
    assert service.post(path).status == 202
    assert [one.params for one in await runs(redis, job)] == [{"seed": seed} for seed in seeds]
    for claim in await worker_steps.claim(redis, 3):
        await worker_steps.fail(redis, claim)
    again = service.post(path, b'{"params":{"texture":"HD"}}')
    assert again.status == 202
    assert [one["seed"] for one in again.items("images")] == seeds
    assert [one.params for one in await runs(redis, job)] == [
        {"seed": seed, "texture": "HD"} for seed in seeds
    ]


async def test_retry_of_one_variant_may_name_another_seed(service: Service, redis: Redis) -> None:
    job = await failed(service, redis)
    seeds = [one["seed"] for one in job.items("images")]
    body = {"image_ids": [job.items("images")[1]["image_id"]], "params": {"seed": 9}}
    again = service.post(f"jobs/{job.text('job_id')}/retry", msgspec.json.encode(body))
    assert [one["seed"] for one in again.items("images")] == [seeds[0], 9, seeds[2]]
    assert [one.params for one in await runs(redis, job)] == [
        {"seed": seeds[0]},
        {"seed": 9},
        {"seed": seeds[2]},
    ]


async def test_names_in_the_archive_and_of_downloads_tell_them_apart(service: Service, redis: Redis) -> None:
    body = Body().file("chair.png", PNG).text("variants", "2")
    job = service.upload(body)
    for claim in await worker_steps.claim(redis, 2):
        await worker_steps.succeed(redis, claim, job.text("job_id"), service.files.as_uri())
    archive = service.get(f"download/{job.text('job_id')}/archive.zip").content
    assert b"chair.glb" in archive
    assert b"chair-2.glb" in archive
    named = []
    for image in job.items("images"):
        address = service.get(f"download/{job.text('job_id')}/{image['image_id']}")
        named.append(service.get(address.headers["location"]).headers["content-disposition"])
    assert ["chair.glb" in named[0], "chair-2.glb" in named[1]] == [True, True]


def request_of(endpoint: Endpoint, count: int, **params: Any) -> BatchRequest:
    return BatchRequest(
        endpoint=endpoint,
        params=params,
        max_cost_micro=None,
        low_priority=False,
        no_cache=False,
        webhook_url=None,
        skip_invalid=False,
        metadata={},
        variants=count,
    )


def endpoint_with(name: str, **limits: Any) -> Endpoint:
    parameter = Parameter(type="integer", **limits)
    return Endpoint(EndpointSchema(id="a/b", title="", parameters=((name, parameter),)))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (0, 2**31 - 1)),
        ({"minimum": 0, "maximum": 65535}, (0, 65535)),
        ({"minimum": -1, "maximum": 2**32}, (0, 2**31 - 1)),
        ({"minimum": 0.5, "below": 10}, (1, 9)),
        ({"above": 2, "maximum": 10.5}, (3, 10)),
        ({"minimum": 2**40}, (2**40, 2**40 + 2**31 - 1)),
        ({"minimum": -9, "maximum": -3}, (-9, -3)),
    ],
)
def test_seeds_are_drawn_within_the_endpoints_bounds(
    limits: dict[str, Any], expected: tuple[int, int]
) -> None:
    endpoint = endpoint_with("seed", **limits)
    assert bounds(endpoint) == expected
    for variant in draw(request_of(endpoint, 7)):
        assert variant.seed is not None
        assert expected[0] <= variant.seed <= expected[1]


def test_few_seeds_are_all_used_and_more_variants_refused() -> None:
    endpoint = endpoint_with("seed", minimum=1, maximum=4)
    assert {one.seed for one in draw(request_of(endpoint, 4))} == {1, 2, 3, 4}
    assert draw(request_of(endpoint, 4, seed=3))[0].seed == 3
    assert len({one.seed for one in draw(request_of(endpoint, 5, seed=99))}) == 5
    with pytest.raises(InvalidParameter, match="only 4 seeds"):
        draw(request_of(endpoint, 5))


def test_parameter_that_is_the_seed() -> None:
    names = {name: endpoint_with(name).seed_param for name in ("seed", "model_seed", "texture_seed", "seeds")}
    assert names == {"seed": "seed", "model_seed": "model_seed", "texture_seed": None, "seeds": None}
    assert endpoint_with("seed", enum=(1, 2)).seed_param is None
    catalogue = Catalogue.built_in()
    assert [catalogue.find(one).seed_param for one in (TRIPO, WITH_MODEL_SEED, WITHOUT_SEED)] == [
        "seed",
        "model_seed",
        None,
    ]
