"""Thumbnails: small, upright, there at once, kept, and only for the owner of the picture."""

import io
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from redis.asyncio import Redis

from image2model.store.connection import command
from image2model.store.keys import key
from tests.support.multipart_body import Body
from tests.support.served_api import Service
from tests.support.sketches import image


def upright_portrait() -> bytes:
    """A landscape JPEG that its EXIF orientation turns into a portrait."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image(3, (1200, 600)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def uploaded(service: Service, data: bytes) -> str:
    """The path of the thumbnail."""
    job = service.upload(Body().file("p.jpg", data))
    (entry,) = job.items("images")
    return f"images/{job.text('job_id')}/{entry['image_id']}/thumbnail"


def test_thumbnail_is_small_upright_and_kept(service: Service) -> None:
    path = uploaded(service, upright_portrait())
    answer = service.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.format, shown.size) == ("WEBP", (128, 256))
    (kept,) = [name for name in service.stored() if name.startswith("thumbnails/")]
    assert (service.files / kept).read_bytes() == answer.content
    (service.files / kept).write_bytes(b"kept")
    assert service.get(path).content == b"kept"


def test_browser_that_has_it_is_answered_without_the_storage(service: Service) -> None:
    path = uploaded(service, upright_portrait())
    tag = service.get(path).headers["etag"]
    for name in service.stored():
        (service.files / name).unlink()
    answer = service.get(path, if_none_match=tag)
    assert (answer.status, answer.content) == (304, b"")
    assert service.get(path).status == 404  # and without it: the picture is gone


async def test_thumbnail_of_another_job_or_owner_does_not_exist(service: Service, redis: Redis) -> None:
    first, second = (uploaded(service, upright_portrait()).split("/") for _ in range(2))
    crossed = f"images/{first[1]}/{second[2]}/thumbnail"
    assert service.get(crossed).status == 404
    await command(redis, "HSET", key("job", first[1]), "owner", "somebody")
    assert service.get("/".join(first)).status == 404


async def test_picture_that_cannot_be_decoded_has_none(service: Service, redis: Redis) -> None:
    path = uploaded(service, upright_portrait())
    source = (await command(redis, "HGET", key("image", path.split("/")[2]), "source_key") or b"").decode()
    whole = (service.files / source).read_bytes()
    (service.files / source).write_bytes(whole[:300] + bytes(len(whole) - 302) + whole[-2:])
    assert service.get(path).status == 404


def test_many_who_ask_at_once_get_the_same_and_the_service_stays_quick(service: Service) -> None:
    path = uploaded(service, upright_portrait())
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(service.get, path) for _ in range(32)]
        begun = time.monotonic()
        assert service.get("health/live").status == 200
        assert time.monotonic() - begun < 5
        assert len({answer.result().content for answer in answers}) == 1
