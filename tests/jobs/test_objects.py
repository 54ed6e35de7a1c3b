"""The life of an object of several views: its documents, its files, its reuse, its end."""

import hashlib
import io
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from redis.asyncio import Redis

from image2model.jobs.lifecycle import erase_if_deleted
from image2model.operations import backup, housekeeping
from image2model.operations.restore import restore
from image2model.storage.address import open_storage
from image2model.store import job_reads
from image2model.store.connection import command, connect
from image2model.store.keys import key
from image2model.up.store import EmbeddedStore
from tests.jobs.test_archive import finished
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.object_forms import SIDES, files, four_views, part, text, view
from tests.support.served_api import Answer, MakeService, Service
from tests.support.worker_steps import claim, fail, succeed

SIDED = "tripo3d/tripo/v2.5/multiview-to-3d"
LIST = "fal-ai/trellis/multi"
OLD = time.time() - 2 * 86_400


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """One that offers every model."""
    return make_service(models="*")


def object_of(*views: tuple[str, int], model: str = SIDED, name: str = "chair") -> Body:
    """One object with these (side, seed of the picture)."""
    body = Body()
    for side, seed in views:
        place = f"objects[{name}][{side}]" if side else f"objects[{name}]"
        part(body, place, view(seed), f"{side or seed}.png")
    return body.text("model", model).text("max_cost_usd", "90")


def quoted(service: Service, body: Body) -> list[dict[str, Any]]:
    answer = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    assert answer.status == 200, answer.body
    return answer.items("images")


def followed(service: Service, path: str) -> Answer:
    answer = service.get(path)
    assert answer.status == 307, answer.body
    return service.get(answer.headers["location"])


async def run_all(service: Service, redis: Redis, body: Body) -> Answer:
    """Upload it, and let every image that is queued succeed."""
    answer = service.upload(body)
    assert answer.status == 202, answer.body
    for held in await claim(redis, 25):
        await succeed(redis, held, answer.text("job_id"), service.files.as_uri())
    return service.get(answer.headers["location"])


def test_sha256_of_an_object_is_over_the_sides_in_the_order_of_fal(service: Service) -> None:
    body = object_of(("left", 2), ("", 7), ("front", 0), ("", 5), model=LIST)
    (image,) = service.upload(body).items("images")
    shas = [one["sha256"] for one in image["views"]]
    assert [one["side"] for one in image["views"]] == ["front", "left", None, None]
    lines = "\n".join(f"{side}:{sha}" for side, sha in zip(["front", "left", "", ""], shas, strict=True))
    assert image["sha256"] == _sha256(lines.encode())
    assert shas == [_sha256(view(seed)) for seed in (0, 2, 7, 5)]


def test_object_of_one_view_without_a_side_is_that_picture(service: Service) -> None:
    (image,) = service.upload(object_of(("", 3))).items("images")
    assert (image["filename"], image["sha256"]) == ("chair", _sha256(view(3)))
    assert [one["filename"] for one in image["views"]] == ["3.png"]


async def test_every_document_shows_the_views(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, four_views(2, model=SIDED))
    status = service.get(f"status/{job_id}").body
    views = [image["views"] for image in status["images"]]  # type: ignore[attr-defined]
    assert [[one["side"] for one in each] for each in views] == [list(SIDES[:4])] * 2
    with zipfile.ZipFile(io.BytesIO(service.get(f"download/{job_id}/archive.zip").content)) as archive:
        assert archive.namelist() == ["o0.glb", "o1.glb", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
    assert [image["views"] for image in manifest["images"]] == views
    stream = service.get(f"status/stream/{job_id}", last_event_id="0").content.decode()
    complete = json.loads(stream.rpartition("data: ")[2].partition("\n")[0])
    assert [image["views"] for image in complete["images"]] == views


async def test_archive_names_two_objects_apart_and_keeps_a_dot(service: Service, redis: Redis) -> None:
    body = Body()
    for number, name in enumerate(("v1.5", "v1.6", "a/b", "a:b", "con")):
        part(body, f"objects[{name}]", view(number), "x.png")
    job_id = await finished(service, redis, body)
    with zipfile.ZipFile(io.BytesIO(service.get(f"download/{job_id}/archive.zip").content)) as archive:
        assert archive.namelist()[:-1] == ["v1.5.glb", "v1.6.glb", "a_b.glb", "a_b-2.glb", "_con.glb"]


async def test_each_view_can_be_downloaded_under_its_own_name(service: Service, redis: Redis) -> None:
    body = object_of(("back", 1), ("front", 0), ("left", 2))
    answer = service.upload(body)
    (image,) = answer.items("images")
    path = f"download/{answer.text('job_id')}/{image['image_id']}"
    for kind, seed, name in (("original", 0, "front"), ("original-2", 1, "back"), ("original-3", 2, "left")):
        found = followed(service, f"{path}?file={kind}")
        assert (found.status, found.content) == (200, view(seed)), kind
        assert f'filename="{name}.png"' in found.headers["content-disposition"]
    for kind in ("original-1", "original-4", "original-0", "original-", "original-02"):
        assert (service.get(f"{path}?file={kind}").status) == 409, (
            kind
        )  # and so are all others, while it runs
    (held,) = await claim(redis)
    await succeed(redis, held, answer.text("job_id"), service.files.as_uri())
    missing = service.get(f"{path}?file=original-4")
    assert (missing.status, missing.code) == (404, "not_found")
    assert "it has: model, original, original-2, original-3" in missing.text("detail")


def test_variants_of_an_object_share_its_views_and_each_shows_them(service: Service) -> None:
    body = object_of(("front", 0), ("back", 1)).file("plain.png", view(5)).text("variants", "3")
    answer = service.upload(body)
    assert (answer.status, answer.body["total"]) == (202, 6), answer.body
    assert len(service.stored()) == 3
    for image in answer.items("images"):
        path = f"{answer.text('job_id')}/{image['image_id']}"
        wanted = {"original": view(0), "original-2": view(1)} if image["index"] < 3 else {"original": view(5)}
        assert len(image["views"]) == len(wanted)
        for kind, data in wanted.items():
            assert followed(service, f"download/{path}?file={kind}").content == data
        assert service.get(f"images/{path}/thumbnail").status == 200


def test_thumbnail_is_of_the_first_view_that_fal_gets(service: Service) -> None:
    body = Body()
    part(body, "objects[a][back]", _plain("blue"))
    part(body, "objects[a][front]", _plain("red"))
    answer = service.upload(body.text("model", SIDED).text("max_cost_usd", "5"))
    (image,) = answer.items("images")
    shown = service.get(f"images/{answer.text('job_id')}/{image['image_id']}/thumbnail")
    with Image.open(io.BytesIO(shown.content)) as picture:
        red, _, blue = picture.convert("RGB").getpixel((5, 5))
    assert red > 200 > blue


async def test_equal_object_is_free_and_another_side_or_order_is_not(service: Service, redis: Redis) -> None:
    await run_all(service, redis, object_of(("front", 0), ("back", 1)))
    await run_all(service, redis, object_of(("", 0), ("", 1), model=LIST))
    same = {
        "in another order of the form": object_of(("back", 1), ("front", 0)),
        "under another name": object_of(("front", 0), ("back", 1), name="table"),
        "the list again": object_of(("", 0), ("", 1), model=LIST),
        "by manifest": text(
            files(2), {"objects": [{"views": [{"part": 1, "side": "back"}, {"part": 0, "side": "front"}]}]}
        )
        .text("model", SIDED)
        .text("max_cost_usd", "9"),
    }
    for words, body in same.items():
        (image,) = quoted(service, body)
        assert (image["cached"], image["cost_usd"]) == (True, 0), words
    other = {
        "another side": object_of(("front", 0), ("left", 1)),
        "sides changed": object_of(("front", 1), ("back", 0)),
        "one view less": object_of(("front", 0)),
        "one view more": object_of(("front", 0), ("back", 1), ("left", 2)),
        "another picture": object_of(("front", 0), ("back", 2)),
        "the list in another order": object_of(("", 1), ("", 0), model=LIST),
        "another model": object_of(("front", 0), ("back", 1), model=LIST),
        "with sides": object_of(("front", 0), ("back", 1), model=LIST),
    }
    for words, body in other.items():
        (image,) = quoted(service, body)
        assert image["cached"] is False, words


async def test_reused_object_is_not_sent_again(service: Service, redis: Redis) -> None:
    first = await run_all(service, redis, object_of(("front", 0), ("back", 1)))
    again = service.upload(object_of(("front", 0), ("back", 1), name="table"))
    (held,) = await claim(redis)
    assert again.body["job_id"] != first.body["job_id"]
    assert (await redis.hget(key("image", held.task_id), "digest")) == (
        await redis.hget(key("image", first.items("images")[0]["image_id"]), "digest")
    )


def test_quote_names_each_object_once_and_prices_it_once(service: Service) -> None:
    body = four_views(2, model=SIDED).file("plain.png", view(9))
    answer = service.post("quote", bytes(body), content_type=CONTENT_TYPE)
    assert (answer.body["total"], answer.body["good"]) == (3, 3)
    each = answer.body["cost_usd_each"]
    assert each is None or answer.body["total_cost_usd"] == pytest.approx(3 * float(str(each)))
    twice = four_views(1, model=SIDED)
    for at, side in enumerate(SIDES[:4]):
        part(twice, f"objects[again][{side}]", view(at), f"{side}.png")
    assert [image["cached"] for image in quoted(service, twice)] == [False, True]


def test_idempotency_key_stands_for_places_and_manifest_too(service: Service) -> None:
    body = object_of(("front", 0), ("back", 1))
    first = service.upload(body, idempotency_key="k")
    again = service.upload(body, idempotency_key="k")
    assert (again.status, again.content, again.headers["idempotent-replayed"]) == (202, first.content, "true")
    for words, other in {
        "side": object_of(("front", 0), ("left", 1)),
        "name": object_of(("front", 0), ("back", 1), name="table"),
        "no object": files(2).text("model", SIDED).text("max_cost_usd", "90"),
        "manifest": text(object_of(("front", 0), ("back", 1)), {"objects": [{"name": "chair"}]}),
    }.items():
        assert service.upload(other, idempotency_key="k").code == "idempotency_conflict", words
    assert len(service.stored()) == 2


async def test_retry_runs_the_same_views(service: Service, redis: Redis) -> None:
    answer = service.upload(object_of(("front", 0), ("back", 1)))
    (held,) = await claim(redis)
    await fail(redis, held)
    before = service.get(answer.headers["location"]).items("images")[0]["views"]
    retried = service.post(f"jobs/{answer.text('job_id')}/retry", b"{}", content_type="application/json")
    assert (retried.status, retried.items("images")[0]["status"]) == (202, "queued")
    assert retried.items("images")[0]["views"] == before
    assert [held.task_id for held in await claim(redis)] == [held.task_id]


async def test_retry_with_a_parameter_that_is_a_view_is_refused(service: Service, redis: Redis) -> None:
    answer = service.upload(object_of(("front", 0), ("back", 1)))
    (held,) = await claim(redis)
    await fail(redis, held)
    body = json.dumps({"params": {"back_image_url": "https://pictures.example.com/back.png"}}).encode()
    retried = service.post(f"jobs/{answer.text('job_id')}/retry", body, content_type="application/json")
    assert (retried.status, retried.code) == (422, "invalid_parameter"), retried.body


async def test_deleted_job_takes_every_view_with_it(service: Service, redis: Redis) -> None:
    answer = service.upload(four_views(2, model=SIDED))
    kept = service.upload(object_of(("front", 0), ("back", 1)))
    assert len(service.stored()) == 10
    assert service.send("DELETE", f"/api/v1/jobs/{answer.text('job_id')}").status == 204
    storage = open_storage(service.files.as_uri())
    assert await erase_if_deleted(redis, storage, answer.text("job_id"))
    left = service.stored()
    assert [name.split("/")[1] for name in left] == [kept.body["job_id"]] * 2


async def test_housekeeping_keeps_each_view_and_deletes_those_of_no_job(
    service: Service, redis: Redis
) -> None:
    answer = service.upload(four_views(1, model=SIDED))
    kept = service.stored()
    storage = open_storage(service.files.as_uri())
    for name in ("a" * 32, "b" * 32):
        await storage.put(f"originals/{'f' * 32}/{name}.png", b"x", content_type="image/png")
    for name in service.stored():
        os.utime(service.files / name, (OLD, OLD))
    assert await housekeeping.erase_orphans(redis, storage) == 2
    assert service.stored() == kept
    assert len([name for name in kept if answer.text("job_id") in name]) == 4


async def test_expired_job_takes_every_view_with_it(service: Service, redis: Redis) -> None:
    answer = await run_all(service, redis, four_views(1, model=SIDED))
    job_id = answer.text("job_id")
    await command(redis, "HSET", key("job", job_id), "expires_at", 1000)
    await command(redis, "ZADD", key("ended"), 1000, job_id)
    assert await housekeeping.erase_expired(redis, open_storage(service.files.as_uri())) == 1
    assert service.stored() == []


async def test_backup_and_restore_bring_every_view_back(
    service: Service, redis: Redis, make_service: MakeService, tmp_path: Path
) -> None:
    answer = await run_all(service, redis, four_views(1, model=SIDED))
    job_id, (image,) = answer.text("job_id"), answer.items("images")
    contents = await backup.make(redis, open_storage(service.files.as_uri()), tmp_path / "b.zip")
    assert (contents.jobs, contents.images, contents.files) == (1, 1, 5)
    server = EmbeddedStore(tmp_path / "store", durable=False)
    server.start()
    try:
        folder = tmp_path / "elsewhere"
        async with connect(server.url) as other:
            await restore(other, open_storage(folder.as_uri()), tmp_path / "b.zip")
            (row,) = (await job_reads.read_job(other, job_id)).images
        assert [one.side for one in row.views] == list(SIDES[:4])
        back = make_service(redis_url=server.url, storage_url=folder.as_uri(), models="*")
        for kind, seed in (("original", 0), ("original-2", 1), ("original-4", 3)):
            found = followed(back, f"download/{job_id}/{image['image_id']}?file={kind}")
            assert (found.status, found.content) == (200, view(seed)), kind
    finally:
        server.stop()


async def test_old_processes_make_it_wait_and_plain_pictures_go_on(service: Service, redis: Redis) -> None:
    """A worker of data version 3 would send the first view alone."""
    await _written_by_version(redis, 3)
    refused = service.upload(object_of(("front", 0), ("back", 1)), idempotency_key="k")
    assert (refused.status, refused.code) == (503, "store_unavailable"), refused.body
    assert "release before" in refused.text("detail")
    assert int(refused.headers["retry-after"]) > 0
    assert service.stored() == []
    assert await redis.keys(key("job", "*")) == []
    assert service.upload(files(2)).status == 202


def test_row_of_an_object_is_read_back(service: Service) -> None:
    """The document that the 202 tells before anything is read is the one that the store tells."""
    answer = service.upload(four_views(3, model=SIDED))
    assert service.get(answer.headers["location"]).body == answer.body


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain(colour: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(data, "PNG")
    return data.getvalue()


async def _written_by_version(redis: Redis, version: int) -> None:
    """As if a process of that data version ran beside."""
    await command(redis, "ZADD", key("readers"), 9e12, f"{version} older-process")
    await command(redis, "PEXPIRE", key("readers"), 60_000)
    await command(redis, "HSET", key("store"), "version", version)
