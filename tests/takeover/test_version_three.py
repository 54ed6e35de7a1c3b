"""Processes of data version 3 beside new ones: objects wait for their end, and plain pictures go on."""

import asyncio
import base64
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from image2model.domain import Counts
from image2model.store.data_versions import LATEST
from image2model.store.identity import READER_TTL_S, negotiate
from tests.support.fleet import Fleet, fleet_on
from tests.support.object_forms import four_views
from tests.support.ports import free_port
from tests.support.served_api import PNG, Answer, Service, batch
from tests.support.servers import Address
from tests.takeover.revision import VERSION_3, sources_of

SIDED = "tripo3d/tripo/v2.5/multiview-to-3d"


async def _service(fleet: Fleet, folder: Path, **settings: str) -> tuple[Service, Any]:
    port = free_port("127.0.0.1")
    process = await fleet.start_api(port, I2M_MODELS="*", **settings)
    return Service(Address("127.0.0.1", port), folder / "files"), process


async def _objects(service: Service) -> Answer:
    return await asyncio.to_thread(service.upload, four_views(2, model=SIDED))


def _as_json(service: Service, image: dict[str, str]) -> Answer:
    body = json.dumps({"images": [image]}).encode()
    return service.post("jobs", body, content_type="application/json")


@pytest.mark.long
async def test_objects_are_refused_while_a_worker_would_send_one_view_alone(
    redis_url: str, tmp_path: Path
) -> None:
    old = {"PYTHONPATH": str(sources_of(VERSION_3, tmp_path / "old"))}
    async with fleet_on(redis_url, tmp_path) as fleet:
        worker = fleet.start_worker(**old)
        before, old_api = await _service(fleet, tmp_path, **old)
        after, _ = await _service(fleet, tmp_path)
        fleet.start_worker()
        assert (await negotiate(fleet.redis)).identity.version == 3

        refused = await _objects(after)
        assert (refused.status, refused.code) == (503, "store_unavailable"), refused.body
        assert "release before" in refused.text("detail")
        assert int(refused.headers["retry-after"]) > 0
        assert after.stored() == []
        # a worker of version 3 knows no addresses either; a picture in base64 is as one in a form
        address = await asyncio.to_thread(_as_json, after, {"url": "https://pictures.example.com/a.png"})
        assert (address.status, address.code) == (503, "store_unavailable"), address.body
        assert "addresses of pictures" in address.text("detail")
        data = await asyncio.to_thread(_as_json, after, {"data": base64.b64encode(PNG).decode()})
        assert data.status == 202, data.body
        assert (await fleet.until_finished(data.text("job_id"))).counts == Counts(succeeded=1)
        assert (await _objects(before)).status == 422  # it knows no such parts
        for service in (before, after):
            plain = await asyncio.to_thread(service.upload, batch(3))
            assert plain.status == 202, plain.body
            job = await fleet.until_finished(plain.text("job_id"))
            assert job.counts == Counts(succeeded=3)
            assert before.get(f"status/{job.job_id}").status == 200
            assert [len(one["views"]) for one in after.get(f"status/{job.job_id}").items("images")] == [1] * 3
        bought = len(fleet.emulator.submissions())

        for process in (worker, old_api):
            process.send(signal.SIGTERM)
            await process.exit_code()
        async with asyncio.timeout(2 * READER_TTL_S + 10):
            while (await negotiate(fleet.redis)).identity.version < LATEST:
                await asyncio.sleep(0.2)
        accepted = await _objects(after)
        assert accepted.status == 202, accepted.body
        job = await fleet.until_finished(accepted.text("job_id"))
        assert job.counts == Counts(succeeded=2)
        assert len(fleet.emulator.submissions()) == bought + 2
