"""What clients see while the store is away: a quick 503, and nothing kept."""

import time
from collections.abc import Callable

from image2model.up.store import EmbeddedStore
from tests.support.served_api import Service, batch


def test_every_call_is_refused_quickly(
    make_service: Callable[..., Service], own_store: EmbeddedStore
) -> None:
    service = make_service(redis_url=own_store.url)
    job_id = service.upload(batch()).text("job_id")
    kept = service.stored()
    own_store.kill()
    started = time.monotonic()
    answers = [
        service.get(f"status/{job_id}"),
        service.upload(batch(3)),
        service.upload(batch(3), idempotency_key="k"),
        service.post(f"jobs/{job_id}/cancel"),
        service.get(f"download/{job_id}"),
    ]
    assert time.monotonic() - started < 15
    assert {(answer.status, answer.code) for answer in answers} == {(503, "store_unavailable")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert service.stored() == kept
    ready = service.get("health/ready")
    assert (ready.status, ready.body["status"]) == (503, "unready")
    assert service.get("health/live").status == 200
    assert service.get("/metrics").status == 200
