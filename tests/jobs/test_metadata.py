"""The caller's own data: what may be sent, where it is shown, and what it must not change."""

import io
import json
import zipfile
from typing import Any

import pytest
from redis.asyncio import Redis

from image2model.client.events import EventParser
from image2model.jobs import records
from image2model.store import job_reads
from tests.jobs.test_archive import finished
from tests.support.fixtures import MakeJob
from tests.support.jobs import fail, pick
from tests.support.multipart_body import Body
from tests.support.served_api import Service, batch

JOB = {"order": 1001, "shop": "Köln", "paid": True, "weight": 1.5, "note": None}
MANIFEST = {"files": [{"part": 1, "metadata": {"sku": "B-2"}}, {"part": 0, "metadata": {"sku": "A-1"}}]}


def tagged(count: int = 2, metadata: object = JOB, manifest: object = MANIFEST, **fields: str) -> Body:
    return batch(count, metadata=json.dumps(metadata), manifest=json.dumps(manifest), **fields)


def of_images(document: dict[str, Any]) -> list[object]:
    return [image["metadata"] for image in document["images"]]


async def test_every_document_shows_the_metadata_of_job_and_images(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, tagged())
    skus = [{"sku": "A-1"}, {"sku": "B-2"}]
    for path in (f"status/{job_id}", f"download/{job_id}"):
        document = service.get(path).body
        assert (document["metadata"], of_images(document)) == (JOB, skus), path
    assert service.get("jobs").items("jobs")[0]["metadata"] == JOB
    assert service.get("admin/jobs").items("jobs")[0]["metadata"] == JOB
    archive = zipfile.ZipFile(io.BytesIO(service.get(f"download/{job_id}/archive.zip").content))
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["metadata"], of_images(manifest)) == (JOB, skus)


async def test_events_show_it(service: Service, redis: Redis) -> None:
    job_id = await finished(service, redis, tagged())
    events = list(EventParser().feed(service.get(f"status/stream/{job_id}", last_event_id="0").content))
    images = [json.loads(event.data)["image"] for event in events if event.event == "image"]
    assert {(image["index"], image["metadata"]["sku"]) for image in images} == {(0, "A-1"), (1, "B-2")}
    complete = json.loads(events[-1].data)
    assert (events[-1].event, complete["metadata"]) == ("complete", JOB)
    assert of_images(complete) == [{"sku": "A-1"}, {"sku": "B-2"}]


def test_upload_without_any_has_empty_objects(service: Service) -> None:
    document = service.upload(batch(1)).body
    assert (document["metadata"], of_images(document)) == ({}, [{}])
    document = service.upload(batch(1, metadata="", manifest=" ")).body
    assert (document["metadata"], of_images(document)) == ({}, [{}])


def test_parts_of_the_manifest_count_the_bad_files_too(service: Service) -> None:
    body = Body().file("bad.png", b"no picture at all")
    body.parts += batch(1).parts
    body.text("manifest", json.dumps({"files": [{"part": 1, "metadata": {"sku": "good"}}]}))
    document = service.upload(body.text("on_invalid", "skip")).body
    assert of_images(document) == [{"sku": "good"}]


@pytest.mark.parametrize(
    "metadata",
    [
        {"k" * 64: 1},
        {"A-z_0.9": ""},
        {"n": 2**53 - 1},
        {"n": -1e300},
        {"__proto__": "x", "constructor": None},
        {"text": '\u0000\u202e\U0001f600 " \\'},
        {"a": "x" * (4096 - len('{"a":""}'))},
        {f"k{n}": n for n in range(300)},
    ],
)
def test_good_metadata_comes_back_as_it_was_sent(service: Service, metadata: dict[str, object]) -> None:
    manifest = {"files": [{"part": 0, "metadata": metadata}]}
    answer = service.upload(tagged(1, metadata, manifest))
    assert answer.status == 202, answer.content
    document = service.get(answer.headers["location"]).body
    assert (document["metadata"], of_images(document)) == (metadata, [metadata])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sku", "must be a JSON object such as"),
        ("[1]", "must be a JSON object such as"),
        ("null", "must be a JSON object such as"),
        ('{"a": NaN}', "must be a JSON object such as"),
        ('{"a": 1e999}', "must be a JSON object such as"),
        ("[" * 60_000, "must be a JSON object such as"),
        ('{"": 1}', "Use keys of 1 to 64 characters"),
        ('{"a b": 1}', "Use keys of 1 to 64 characters"),
        ('{"ä": 1}', "Use keys of 1 to 64 characters"),
        (json.dumps({"k" * 65: 1}), "Use keys of 1 to 64 characters"),
        ('{"a": {"b": 1}}', "is an object. Use a string"),
        ('{"a": [1]}', "is a list. Use a string"),
        ('{"a": 9007199254740992}', "Send it as a string"),
        (json.dumps({"a": "x" * 4096}), "may have 4096"),
    ],
)
@pytest.mark.parametrize("route", ["upload/batch", "quote"])
def test_bad_metadata_is_refused_with_what_to_do(service: Service, route: str, text: str, words: str) -> None:
    body = batch(1, metadata=text)
    answer = service.post(route, bytes(body), content_type="multipart/form-data; boundary=edge-of-the-part")
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert words in answer.text("detail")
    assert "`metadata`" in answer.text("detail")
    assert service.stored() == []


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "`manifest` must be JSON such as"),
        ("[]", "`manifest` must be a JSON object"),
        (
            '{"pictures": []}',
            "`manifest` has a member 'pictures', but this service knows `files` and `objects`",
        ),
        ('{"files": {}}', "`files` of `manifest` must be a list"),
        ('{"files": [1]}', "`files[0]` of `manifest` must be a JSON object"),
        (
            '{"files": [{"part": 0, "tags": []}]}',
            "has a member 'tags', but this service knows `part` and `metadata`",
        ),
        ('{"files": [{"metadata": {}}]}', "`files[0]` of `manifest` needs `part`"),
        ('{"files": [{"part": true}]}', "needs `part`"),
        (
            '{"files": [{"part": 0}, {"part": 2}]}',
            "`files[1]` of `manifest` names part 2, but the upload has 2",
        ),
        ('{"files": [{"part": -1}]}', "names part -1"),
        ('{"files": [{"part": 0}, {"part": 0}]}', "names part 0 a second time"),
        (
            '{"files": [{"part": 0, "metadata": []}]}',
            "`metadata` of `files[0]` of `manifest` must be a JSON object",
        ),
        ('{"files": [{"part": 0, "metadata": {"a": [1]}}]}', "is a list"),
        (" " * (256 << 10) + "{}", "`manifest` is longer than 262144 bytes"),
    ],
)
def test_bad_manifest_is_refused_with_what_to_do(service: Service, manifest: str, words: str) -> None:
    answer = service.upload(batch(2, manifest=manifest))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
    assert words in answer.text("detail")
    assert service.stored() == []


def test_it_is_part_of_what_an_idempotency_key_stands_for(service: Service) -> None:
    first = service.upload(tagged(), idempotency_key="k")
    assert service.upload(tagged(), idempotency_key="k").content == first.content
    for other in (tagged(metadata={"order": 1002}), tagged(manifest={})):
        assert service.upload(other, idempotency_key="k").code == "idempotency_conflict"


async def test_retry_keeps_it(redis: Redis, make_job: MakeJob) -> None:
    job = await make_job(1, metadata={"order": 7}, image_metadata={"sku": "A-1"})
    (claim,) = await pick(redis)
    await fail(redis, claim)
    await records.retry(redis, job.job_id, None, {"texture": "HD"}, low_priority=False)
    again = await job_reads.read_job(redis, job.job_id)
    assert (again.counts.queued, again.job.metadata, again.images[0].metadata) == (
        1,
        {"order": 7},
        {"sku": "A-1"},
    )
