"""The ZIP of a job: whole, streamed, safe to unpack, and never silently short."""

import hashlib
import http.client
import io
import json
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.domain import ImageResult, ImageStatus, Mesh, ResultFile
from image2model.generation import steps
from image2model.storage.address import open_storage
from image2model.storage.layout import ResultNames
from image2model.store.keys import key
from tests.support.jobs import book
from tests.support.multipart_body import Body
from tests.support.served_api import BASE, Service, batch
from tests.support.sketches import picture
from tests.support.worker_steps import claim, fail, submit

MESH = Mesh(12, 8, 1, ((0, 0, 0), (1, 1, 1)))


def resident() -> int:
    """Bytes of memory that this process, which serves too, has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def model(seed: int, size: int) -> bytes:
    return b"glTF" + hashlib.shake_128(b"%d" % seed).digest(size - 4)


async def finished(service: Service, redis: Redis, body: Body, size: int = 5000) -> str:
    """A job of which every image has succeeded, each with a model of its own."""
    job = service.upload(body)
    order = {entry["image_id"]: entry["index"] for entry in job.items("images")}
    for held in await claim(redis, len(order)):
        await submit(redis, held)
        key = ResultNames(job.text("job_id"), held.task_id, flat=True).key("model", "glb")
        data = model(int(str(order[held.task_id])), size)
        await open_storage(service.files.as_uri()).put(key, data, content_type="model/gltf-binary")
        await steps.move(redis, held.task_id, held.token, ImageStatus.STORING)
        files = (ResultFile(kind="model", format="glb", size=size, key=key),)
        await book(redis, held.task_id)
        await steps.succeed(redis, held.task_id, held.token, ImageResult(files, MESH))
    return job.text("job_id")


async def test_archive_of_25_opens_and_its_manifest_tells_all(
    service: Service, redis: Redis, tmp_path: Path
) -> None:
    job_id = await finished(service, redis, batch(25))
    answer = service.get(f"download/{job_id}/archive.zip")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    assert "attachment" in answer.headers["content-disposition"]
    path = tmp_path / "a.zip"
    path.write_bytes(answer.content)
    tested = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 26
        for number, entry in enumerate(manifest["images"]):
            data = archive.read(entry["file"])
            assert (entry["file"], data) == (f"{number}.glb", model(number, 5000))
            assert entry["file_sha256"] == hashlib.sha256(data).hexdigest()
            assert (entry["cost_usd"], entry["mesh"]["triangles"]) == (0.3, 12)
            assert entry["fal_request_id"] == f"r-{entry['image_id']}"
    assert (manifest["status"], manifest["cost_usd"]) == ("succeeded", 7.5)


async def test_only_finished_models_are_in_it_and_the_manifest_says_why(
    service: Service, redis: Redis
) -> None:
    job_id = service.upload(batch(2)).text("job_id")
    early = service.get(f"download/{job_id}/archive.zip")
    assert (early.status, early.code) == (409, "not_ready")
    good, bad = await claim(redis, 2)
    await fail(redis, bad)
    await submit(redis, good)
    assert service.get(f"download/{job_id}/archive.zip").status == 409
    key = ResultNames(job_id, good.task_id, flat=True).key("model", "glb")
    await open_storage(service.files.as_uri()).put(key, b"glTF", content_type="model/gltf-binary")
    await steps.move(redis, good.task_id, good.token, ImageStatus.STORING)
    done = ImageResult((ResultFile(kind="model", format="glb", size=4, key=key),))
    await book(redis, good.task_id)
    await steps.succeed(redis, good.task_id, good.token, done)
    content = service.get(f"download/{job_id}/archive.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert len(archive.namelist()) == 2
    failed = next(entry for entry in manifest["images"] if entry["status"] == "failed")
    assert (failed["file"], failed["error"]["code"]) == (None, "generation_failed")


async def test_names_are_safe_and_unique(service: Service, redis: Redis) -> None:
    uploads = ["a.png", "A.jpg", "a-2.png", "\u202eevil.png", "con.png", "x:y*.png", "é.png", "e\u0301.png"]
    body = Body()
    for seed, name in enumerate(uploads):
        body.file(name, picture(seed=seed))
    job_id = await finished(service, redis, body)
    with zipfile.ZipFile(io.BytesIO(service.get(f"download/{job_id}/archive.zip").content)) as archive:
        found = archive.namelist()[:-1]
    assert found[:3] == ["a.glb", "A-2.glb", "a-2-2.glb"]
    assert len({name.casefold() for name in found}) == len(uploads)
    assert found[4:6] == ["_con.glb", "x_y_.glb"]
    assert not any("\u202e" in name or "/" in name or "\\" in name for name in found)


async def test_archive_that_cannot_be_completed_is_visibly_broken(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, batch(3))
    stored = sorted(service.files.glob("results/*/*.model.glb"))
    order = service.get(f"status/{job_id}").items("images")
    last = next(path for path in stored if path.name.startswith(order[-1]["image_id"]))
    last.unlink()
    with pytest.raises(http.client.IncompleteRead):
        service.get(f"download/{job_id}/archive.zip")
    for path in stored:
        path.unlink(missing_ok=True)
    answer = service.get(f"download/{job_id}/archive.zip")
    assert (answer.status, answer.code) == (503, "store_unavailable")


@pytest.mark.long
async def test_memory_is_flat_however_large_the_models(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, batch(8), size=16 << 20)
    connection = http.client.HTTPConnection(service.address.host, service.address.port, timeout=30)
    connection.request("GET", f"{BASE}/download/{job_id}/archive.zip")
    answer = connection.getresponse()
    size = len(answer.read(1 << 20))
    before = peak = resident()
    begun = time.monotonic()
    while piece := answer.read(1 << 20):
        size += len(piece)
        peak = max(peak, resident())
    connection.close()
    assert size > 8 * (16 << 20)
    grown = (peak - before) >> 20
    assert grown < 24, f"{grown} MiB more for {size >> 20} MiB in {time.monotonic() - begun:.1f} s"


async def test_archive_of_another_owner_does_not_exist(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, batch(1))
    await redis.execute_command("HSET", key("job", job_id), "owner", "somebody")
    assert service.get(f"download/{job_id}/archive.zip").status == 404
