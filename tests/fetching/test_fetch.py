"""Pictures that came as addresses: unknown until a worker has fetched them, then like any other."""

import asyncio
import base64
import hashlib

import pytest

from image2model.domain import Counts, WaitingFor
from image2model.store.keys import key
from image2model.store.records import ImageRow, JobSnapshot
from tests.fetching.conftest import World
from tests.support import picture_server as answers
from tests.support.fleet import MODEL
from tests.support.picture_server import Answering
from tests.support.raw_server import Exchange
from tests.support.sketches import picture
from tests.support.wait import until

PNG = picture(1, (48, 32))
OTHER = picture(2, (48, 32))
HUNYUAN = "fal-ai/hunyuan3d-v3/image-to-3d"


def only(job: JobSnapshot) -> ImageRow:
    (image,) = job.images
    return image


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.long
@pytest.mark.also_on_cluster
async def test_picture_is_fetched_and_becomes_a_model(world: World) -> None:
    url = world.pictures.put("/a/chair%20one.png", PNG)
    answer = world.send({"images": [{"url": url}], "metadata": {"order": 7}})
    assert answer.status == 202, answer.content
    (image,) = answer.items("images")
    assert (image["filename"], image["status"], image["waiting_for"]) == ("chair one.png", "queued", "fetch")
    known = ("size", "sha256", "width", "height")
    assert [image[name] for name in known] == [None] * 4
    assert [image["views"][0][name] for name in known] == [None] * 4
    job_id = answer.text("job_id")
    assert world.service.get(f"images/{job_id}/{image['image_id']}/thumbnail").status == 404
    assert world.service.get(f"download/{job_id}/{image['image_id']}?file=original").status == 409
    world.start_worker()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=1)
    (now,) = world.service.get(f"status/{job_id}").items("images")
    facts = [len(PNG), digest_of(PNG), 48, 32]
    assert [now[name] for name in known] == facts
    assert [now["views"][0][name] for name in known] == facts
    (request,) = world.pictures.requests("/a/chair%20one.png")
    # sent as it is written, because it is signed, and without anything of ours
    assert request.request_line == f"GET /a/chair%20one.png?{url.partition('?')[2]} HTTP/1.1"
    assert [request.header(name) for name in ("Authorization", "Cookie", "Referer")] == [None] * 3
    assert await world.fetches() == []
    assert world.service.get(f"images/{job_id}/{image['image_id']}/thumbnail").status == 200


@pytest.mark.long
async def test_same_content_is_bought_once_whatever_its_address(world: World) -> None:
    one, two = world.pictures.put("/1.png", PNG), world.pictures.put("/2.png", PNG)
    job_id = world.accepted({"images": [{"url": one}, {"url": two}]})
    uploaded = world.send({"images": [{"data": in_base64(PNG)}]}).text("job_id")
    world.start_worker()
    jobs = [await world.ended(job_id), await world.ended(uploaded)]
    assert [job.counts.succeeded for job in jobs] == [2, 1]
    assert len(world.fleet.emulator.submissions()) == 1
    assert sorted(image.cached for job in jobs for image in job.images) == [False, True, True]


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_variants_and_models_share_one_fetch(world: World) -> None:
    url = world.pictures.put("/1.png", PNG)
    body = {"images": [{"url": url}], "variants": 2, "model": ["fal-ai/trellis", "fal-ai/triposr"]}
    answer = world.send(body)
    assert answer.status == 202, answer.content
    world.start_worker()
    for one in answer.items("jobs"):
        job = await world.ended(one["job_id"])
        assert job.counts == Counts(succeeded=2)
        assert {image.sha256 for image in job.images} == {digest_of(PNG)}
        image_id = job.images[1].image_id
        assert world.service.get(f"download/{one['job_id']}/{image_id}?file=original").status == 307
    assert len(world.pictures.requests("/1.png")) == 1
    assert len(world.fleet.emulator.submissions()) == 4


@pytest.mark.long
async def test_object_of_several_views_waits_for_all(world: World) -> None:
    go = asyncio.Event()
    front = world.pictures.put("/front.png", PNG)
    left = world.pictures.put("/left.png", answers.held(OTHER, go))
    views = [
        {"url": left, "side": "left"},
        {"url": front, "side": "front"},
        {"data": in_base64(picture(3, (48, 32))), "side": "back", "filename": "back.png"},
    ]
    job_id = world.accepted({"model": HUNYUAN, "objects": [{"name": "chair", "views": views}]})
    world.start_worker()
    await until(lambda: has(world, "/left.png"), timeout=60)
    job = await world.fleet.job(job_id)
    assert (only(job).sha256, job.counts.queued) == (None, 1)
    go.set()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=1)
    assert [(view.side, view.width) for view in only(job).views] == [
        ("front", 48),
        ("back", 48),
        ("left", 48),
    ]
    assert len(world.fleet.emulator.submissions()) == 1
    assert len(world.pictures.requests("/front.png")) == 1


async def has(world: World, path: str) -> bool:
    return bool(world.pictures.requests(path))


@pytest.mark.long
async def test_pictures_are_prepared_after_the_fetch(world: World) -> None:
    one, two = world.pictures.put("/1.png", PNG), world.pictures.put("/2.png", PNG)
    body = {"images": [{"url": one}, {"url": two}], "remove_background": True, "crop": True}
    job_id = world.accepted(body)
    world.start_worker()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=2)
    # the same content: cut out once, made once
    assert len(world.fleet.emulator.submissions()) == 2


BAD: dict[str, tuple[Answering, str]] = {
    "404": (answers.gone, "answered 404"),
    "403": (answers.status("403 Forbidden"), "signature has run out"),
    "400": (answers.status("400 Bad Request"), "answered 400"),
    "no picture": (answers.picture_of(b"<!doctype html><html>login</html>"), "looks like a web page"),
    "empty": (answers.picture_of(b""), "empty"),
    "truncated": (answers.picture_of(PNG[:-200]), "cannot be used"),
    "endless": (answers.endless, "larger than"),
    "announced too large": (answers.announcing(99_999_999), "larger than"),
    "another coding": (answers.picture_of(PNG, Content_Encoding="br"), "coding"),
    "bomb": (answers.zipped(bytes(40 << 20)), "larger than"),
    "redirect to a file": (answers.redirect("file:///etc/passwd"), "not a public internet address"),
    "redirect with a password": (answers.redirect("http://u:p@127.0.0.1/x"), "not a public"),
}


@pytest.mark.long
async def test_bad_address_fails_its_image_alone(world: World) -> None:
    loop = world.pictures.put("/loop", answers.redirect("/loop"))
    good = world.pictures.put("/good.png", PNG)
    urls = {name: world.pictures.put(f"/{n}.png", page) for n, (name, (page, _)) in enumerate(BAD.items())}
    body = {"images": [{"url": url, "filename": name} for name, url in urls.items()]}
    job_id = world.accepted({"images": [*body["images"], {"url": loop, "filename": "loop"}, {"url": good}]})
    world.start_worker(I2M_MAX_FILE_BYTES="1MiB")
    job = await world.ended(job_id)
    words = {name: one for name, (_, one) in BAD.items()} | {"loop": "redirects more than 5 times"}
    assert job.counts == Counts(succeeded=1, failed=len(words))
    for image in job.images[:-1]:
        assert image.error is not None
        assert (image.error.code, image.error.retryable) == ("image_unreadable", False)
        assert words[image.filename] in image.error.message, image.filename
    assert await world.fetches() == []
    # what is not kept cannot be tried again, and says so
    assert world.service.post(f"jobs/{job_id}/retry").status == 202
    job = await world.ended(job_id)
    messages = {image.error.message for image in job.images if image.error is not None}
    assert len(messages) == 1
    assert "not kept any more" in messages.pop()


async def test_good_answers_of_unusual_servers(world: World) -> None:
    pages = [
        world.pictures.put("/gzip.png", answers.zipped(PNG)),
        world.pictures.put("/moved", answers.redirect(world.pictures.put("/target.png", OTHER), "308 Moved")),
        world.pictures.put("/relative", answers.redirect("target.png?again")),
    ]
    job_id = world.accepted({"images": [{"url": url} for url in pages]})
    world.start_worker()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=3)
    assert [image.sha256 for image in job.images] == [digest_of(PNG), digest_of(OTHER), digest_of(OTHER)]


@pytest.mark.long
async def test_passing_failures_are_tried_again(world: World) -> None:
    broken = answers.cut(PNG[:500])
    pages = [
        world.pictures.put("/503.png", answers.status("503 Busy", Retry_After="1"), PNG),
        world.pictures.put("/cut.png", broken, OTHER),
    ]
    job_id = world.accepted({"images": [{"url": url} for url in pages]})
    world.start_worker()
    job = await world.ended(job_id)
    assert job.counts == Counts(succeeded=2)
    assert [len(world.pictures.requests(path)) for path in ("/503.png", "/cut.png")] == [2, 2]


async def test_private_addresses_are_refused_at_each_hop(world: World) -> None:
    url = world.pictures.put("/1.png", PNG)
    job_id = world.accepted({"images": [{"url": url}, {"url": url.replace("127.0.0.1", "localhost")}]})
    world.fleet.start_worker()  # without the setting for development
    job = await world.ended(job_id)
    assert job.counts == Counts(failed=2)
    assert all("not a public internet address" in (image.error or "").message for image in job.images)  # type: ignore[union-attr]
    assert world.pictures.raw.requests == []


@pytest.mark.long
async def test_job_says_that_it_waits_for_its_pictures(world: World) -> None:
    go = asyncio.Event()
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", answers.held(PNG, go))}]})
    world.start_worker()
    job = await world.fleet.until(job_id, lambda job: job.job.waiting_for is WaitingFor.FETCH, 60)
    assert job.counts.queued == 1
    go.set()
    job = await world.ended(job_id)
    assert (job.counts.succeeded, job.job.waiting_for) == (1, None)


@pytest.mark.parametrize("delete", [False, True])
async def test_cancel_stops_the_fetch_and_erases_the_address(world: World, *, delete: bool) -> None:
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", answers.endless_slowly)}]})
    world.start_worker()
    await until(lambda: has(world, "/1.png"), timeout=60)
    assert len(await world.fetches()) == 1
    if delete:
        assert world.service.send("DELETE", f"/api/v1/jobs/{job_id}").status == 204
    else:
        assert world.service.post(f"jobs/{job_id}/cancel").status == 202
        assert (await world.ended(job_id)).counts == Counts(cancelled=1)
    assert await world.fetches() == []
    (request,) = world.pictures.requests("/1.png")
    await until(lambda: closed(request))
    assert world.fleet.emulator.submissions() == []


async def closed(request: Exchange) -> bool:
    return request.writer.is_closing()


@pytest.mark.long
async def test_budget_is_reserved_before_the_fetch_and_released_with_the_failure(world: World) -> None:
    job_id = world.accepted({"images": [{"url": world.pictures.put("/1.png", answers.gone)}], "model": MODEL})
    reserved = int(await world.fleet.redis.hget(key("account", "local"), "reserved") or 0)
    assert reserved > 0, await world.fleet.redis.keys(key("account", "*"))
    world.start_worker()
    assert (await world.ended(job_id)).counts == Counts(failed=1)
    assert int(await world.fleet.redis.hget(key("account", "local"), "reserved") or 0) == 0
