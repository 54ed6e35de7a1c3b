"""Processes of data version 2 beside new ones: metadata is safe with them, and shown once they are gone."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from image2model.client.events import EventParser
from image2model.operations import housekeeping
from image2model.store.data_versions import LATEST
from image2model.store.identity import READER_TTL_S, negotiate
from image2model.store.keys import key
from tests.support.fleet import Fleet, fleet_on
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_port
from tests.support.served_api import Answer, Service, batch
from tests.support.servers import Address
from tests.takeover.revision import VERSION_2, sources_of

JOB, IMAGE = {"order": 1001}, {"sku": "A-1"}
FORM = {"metadata": json.dumps(JOB), "manifest": json.dumps({"files": [{"part": 0, "metadata": IMAGE}]})}


async def _service(fleet: Fleet, folder: Path, **settings: str) -> tuple[Service, Any]:
    port = free_port("127.0.0.1")
    process = await fleet.start_api(port, **settings)
    return Service(Address("127.0.0.1", port), folder / "files"), process


def _last_event(service: Service, job_id: str) -> dict[str, Any]:
    answer = service.get(f"status/stream/{job_id}", last_event_id="0")
    *_, last = EventParser().feed(answer.content)
    assert last.event == "complete"
    document: dict[str, Any] = json.loads(last.data)
    return document


def _shown(document: dict[str, Any]) -> tuple[object, ...]:
    return (document.get("metadata"), *(image.get("metadata") for image in document["images"]))


async def _uploaded(fleet: Fleet, service: Service, **form: str) -> Answer:
    answer = await asyncio.to_thread(service.upload, batch(1, **form))
    assert answer.status == 202, answer.content
    await fleet.until_finished(answer.text("job_id"))
    return answer


@pytest.mark.long
async def test_metadata_survives_processes_that_do_not_know_it(redis_url: str, tmp_path: Path) -> None:
    old = {"PYTHONPATH": str(sources_of(VERSION_2, tmp_path / "old"))}
    async with fleet_on(redis_url, tmp_path) as fleet:
        worker = fleet.start_worker(**old)
        before, old_api = await _service(fleet, tmp_path, **old)
        after, _ = await _service(fleet, tmp_path)
        assert (await negotiate(fleet.redis)).identity.version == 2

        job = (await _uploaded(fleet, after, **FORM)).text("job_id")
        assert _shown(after.get(f"status/{job}").body) == (JOB, IMAGE)
        assert [one["job_id"] for one in after.get("jobs?metadata.sku=A-1").items("jobs")] == [job]
        # what the older worker has written is read by both; its rows end before the metadata
        assert before.get(f"status/{job}").status == 200
        assert _shown(_last_event(before, job)) == (None, None)
        assert _shown(_last_event(after, job)) == ({}, {})
        assert before.upload(batch(1, **FORM)).code == "invalid_parameter"

        fleet.start_worker()
        for process in (worker, old_api):
            process.send(signal.SIGTERM)
            await process.exit_code()
        async with asyncio.timeout(2 * READER_TTL_S + 10):
            while (await negotiate(fleet.redis)).identity.version < LATEST:
                await asyncio.sleep(0.2)
        new = (await _uploaded(fleet, after, **FORM)).text("job_id")
        assert _shown(_last_event(after, new)) == (JOB, IMAGE)
        assert _shown(after.get(f"status/{job}").body) == (JOB, IMAGE)
        assert [one["job_id"] for one in after.get("jobs?metadata.order=1001").items("jobs")] == [new, job]


@pytest.mark.long
async def test_job_that_an_older_process_deletes_is_found_no_more(redis_url: str, tmp_path: Path) -> None:
    old = {"PYTHONPATH": str(sources_of(VERSION_2, tmp_path / "old"))}
    async with fleet_on(redis_url, tmp_path) as fleet:
        fleet.start_worker(**old)
        before, _ = await _service(fleet, tmp_path, **old)
        after, _ = await _service(fleet, tmp_path)
        job = (await _uploaded(fleet, after, **FORM)).text("job_id")
        assert before.send("DELETE", f"/api/v1/jobs/{job}").status == 204
        assert after.get("jobs?metadata.sku=A-1").items("jobs") == []
        async with asyncio.timeout(20):
            while await fleet.redis.exists(key("job", job)):
                await asyncio.sleep(0.02)
        index = key("owner_metadata", "local")
        assert await fleet.redis.zcard(index) == 2
        await fleet.redis.sadd(
            key("owners"), "local"
        )  # the older housekeeping knows no index, and may forget it
        await housekeeping.prune_owners(fleet.redis, older_than_s=0)
        assert not await fleet.redis.exists(index)
        assert await keys_without_ttl(fleet.redis) == []
