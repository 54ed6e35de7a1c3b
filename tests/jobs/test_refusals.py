"""Twenty-five bad uploads, end to end: each has its documented answer, and nothing of it is left."""

import hashlib
import os

import pytest
from redis import Redis

from image2model.up.store import EmbeddedStore
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.pictures import png_bomb
from tests.support.served_api import PNG, Service, batch
from tests.support.sketches import picture

MIB = 1 << 20
JPEG, WEBP, PHOTOSHOP = picture(fmt="JPEG"), picture(fmt="WEBP"), b"8BPS" + bytes(60)
OTHER_MODEL = "fal-ai/triposr"


def one(payload: bytes, name: str = "a.png") -> Body:
    return Body().file(name, payload)


BAD: dict[str, tuple[bytes, str, int, str]] = {
    name: (bytes(body), CONTENT_TYPE, status, code)
    for name, (body, status, code) in {
        "empty file": (one(b""), 422, "not_an_image"),
        "text named png": (one(b"only text\n" * 30), 422, "not_an_image"),
        "random bytes": (one(hashlib.shake_256(b"x").digest(5000)), 422, "not_an_image"),
        "svg": (one(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg"), 422, "not_an_image"),
        "photoshop": (one(PHOTOSHOP, "a.psd"), 422, "not_an_image"),
        "truncated png": (one(PNG[:-30]), 422, "image_truncated"),
        "truncated jpeg": (one(JPEG[:-200]), 422, "image_truncated"),
        "truncated webp": (one(WEBP[:-20]), 422, "image_truncated"),
        "pixel bomb": (one(png_bomb()), 422, "image_too_large"),
        "no files": (Body().text("model", OTHER_MODEL), 422, "no_files"),
        "26 files": (batch(26), 422, "too_many_files"),
        "31 MB": (one(JPEG + bytes(31 * MIB)), 413, "file_too_large"),
        "40 MB": (one(JPEG + bytes(40 * MIB)), 413, "file_too_large"),
        "1 MB part header": (one(PNG, "a" * MIB), 422, "invalid_multipart"),
        "5,000 parts": (
            Body([Body().text(f"x{n}", "y").open_ended() for n in range(5000)]),
            422,
            "invalid_multipart",
        ),
        "wrong field name": (
            Body().part('Content-Disposition: form-data; name="picture"; filename="a.png"', PNG),
            422,
            "invalid_parameter",
        ),
        "face_limit of zero": (batch(2, face_limit="0"), 422, "invalid_parameter"),
        "face_limit in words": (batch(2, face_limit="many"), 422, "invalid_parameter"),
        "face_limit without a counterpart": (
            batch(1, face_limit="500", model=OTHER_MODEL),
            422,
            "invalid_parameter",
        ),
        "unknown model": (batch(2, model="fal-ai/none"), 422, "unknown_model"),
        "params no JSON": (batch(2, params="{texture"), 422, "invalid_parameter"),
        "params no object": (batch(2, params="[1]"), 422, "invalid_parameter"),
        "params nested for ever": (batch(1, params='{"a":' + "[" * 30_000), 422, "invalid_parameter"),
        "params of the wrong type": (batch(2, params='{"pbr":"yes"}'), 422, "invalid_parameter"),
        "params unknown": (batch(2, params='{"colour":"red"}'), 422, "invalid_parameter"),
        "priority": (batch(1, priority="high"), 422, "invalid_parameter"),
        "no_cache": (batch(1, no_cache="maybe"), 422, "invalid_parameter"),
        "on_invalid": (batch(1, on_invalid="ignore"), 422, "invalid_parameter"),
        "webhook without https": (
            batch(1, webhook_url="http://example.com/x"),
            422,
            "invalid_parameter",
        ),
        "webhook to this machine": (
            batch(1, webhook_url="https://127.0.0.1/x"),
            422,
            "invalid_parameter",
        ),
        "webhook with a password": (
            batch(1, webhook_url="https://me:secret@example.com/"),
            422,
            "invalid_parameter",
        ),
        "one bad among good": (batch(3).file("bad.png", b"text " * 30), 422, "not_an_image"),
        "all bad, to be skipped": (
            one(b"text " * 30).text("on_invalid", "skip"),
            422,
            "not_an_image",
        ),
    }.items()
} | {
    "no closing boundary": (batch(2).open_ended(), CONTENT_TYPE, 422, "invalid_multipart"),
    "body cut off": (bytes(batch(2))[:-400], CONTENT_TYPE, 422, "invalid_multipart"),
    "not multipart": (b"a: b", "text/yaml", 415, "unsupported_media_type"),
    "no boundary": (bytes(batch(1)), "multipart/form-data", 422, "invalid_multipart"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", BAD)
def test_refused_batch_is_answered_and_leaves_nothing(
    service: Service, valkey: EmbeddedStore, name: str
) -> None:
    body, content_type, status, code = BAD[name]
    with Redis.from_url(valkey.url) as store:
        before = sorted(store.keys())
        answer = service.upload(body, content_type, idempotency_key="the-same")
        assert (answer.status, answer.code) == (status, code), answer.body
        assert answer.headers["content-type"] == "application/problem+json"
        assert sorted(store.keys()) == before
    assert service.stored() == []
    assert list(service.files.iterdir()) == []


def test_bad_files_are_named(service: Service) -> None:
    answer = service.upload(batch(1).file("cut.png", PNG[:-30]).file("no.png", os.urandom(500)))
    assert answer.code == "image_truncated"
    assert [(fault["file"], fault["code"]) for fault in answer.items("errors")] == [
        ("cut.png", "image_truncated"),
        ("no.png", "not_an_image"),
    ]


def test_skipped_files_are_listed_and_the_good_ones_run(service: Service) -> None:
    answer = service.upload(batch(2, on_invalid="skip").file("no.png", b"text " * 30))
    assert (answer.status, answer.body["total"]) == (202, 2)
    [rejected] = answer.items("rejected")
    assert (rejected["file"], rejected["code"]) == ("no.png", "not_an_image")
    assert service.get(answer.headers["location"]).items("rejected") == [rejected]


@pytest.mark.parametrize("key", ["", "with space", "k" * 256, "ümlaut"])
def test_idempotency_key_that_is_none_is_refused(service: Service, key: str) -> None:
    answer = service.upload(batch(), idempotency_key=key)
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert service.stored() == []
