"""Health and metrics, and the process around them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.generation import steps
from image2model.queue import circuits, fleet, leases
from image2model.store.keys import Queue
from image2model.up.store import EmbeddedStore
from tests.support.served_api import Service, batch
from tests.support.worker_steps import claim

RUN = """
from image2model import settings
from image2model.api.server import run
raise SystemExit(run(settings.load()))
"""


def a_worker() -> fleet.Heartbeat:
    return fleet.Heartbeat(
        worker_id="w1", host="h", pid=1, queues=("model_generation",), running=3, slots=9, started_at=1
    )


async def test_ready_needs_a_worker_but_serves_without(service: Service, redis: Redis) -> None:
    before = service.get("health/ready")
    assert (before.status, before.body["status"]) == (200, "degraded")
    await fleet.heartbeat(redis, a_worker())
    checks = msgspec.convert(service.get("health/ready").body["checks"], dict[str, dict[str, object]])
    assert set(checks) == {"redis", "disk_space", "fal_api", "workers"}
    assert checks["workers"] == {"ok": True, "detail": "1 running"}
    await fleet.leave(redis, "w1")
    assert (await fleet.read(redis)).workers == ()


async def refused_endpoint(service: Service, redis: Redis) -> None:
    """FAL answers the POST of an uploaded picture with 403, and the worker lets it go."""
    service.upload(batch(2))
    (held, *_) = await claim(redis)
    pace = circuits.Pace(first_gap_s=600, last_gap_s=600)
    words = "No access to this model."
    await circuits.count_endpoint_fault(
        redis, held.task_id, circuits.Fault.REFUSED, words, status=403, pace=pace
    )
    await steps.try_again(redis, held.task_id, held.token, used_attempt=False, endpoint=True)
    await leases.release(redis, Queue.GENERATION, held.task_id, held.token, finished=False, score=held.score)


async def test_refused_endpoint_is_told_to_operators_and_takes_no_replica_out_of_service(
    service: Service, redis: Redis
) -> None:
    await fleet.heartbeat(redis, a_worker())
    await refused_endpoint(service, redis)
    health = service.get("health/ready")
    assert (health.status, health.body["status"]) == (200, "degraded")
    checks = msgspec.convert(health.body["checks"], dict[str, dict[str, object]])
    assert checks["fal_api"]["ok"] is False
    assert f"FAL refuses {DEFAULT_MODEL}: No access to this model" in str(checks["fal_api"]["detail"])
    (told,) = service.get("admin/stats").items("endpoints")
    assert (told["model"], told["why"], told["waiting"]) == (DEFAULT_MODEL, "refused", 1)
    assert told["message"] == "No access to this model."
    assert str(told["since"]) < str(told["next_probe_at"])
    text = service.get("/metrics").content.decode()
    assert f'image2model_endpoint_circuit_open{{model="{DEFAULT_MODEL}"}} 1.0' in text
    assert f'image2model_endpoint_waiting{{model="{DEFAULT_MODEL}"}} 1.0' in text


async def test_metrics_tell_queues_and_workers_without_ids(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(3)).text("job_id")
    service.get(f"status/{job_id}")
    service.get(f"nothing/{job_id}")
    await fleet.heartbeat(redis, a_worker())
    text = service.get("/metrics").content.decode()
    assert 'image2model_queue_depth{queue="model_generation"} 3.0' in text
    assert 'image2model_worker_heartbeat_timestamp_seconds{worker="w1"}' in text
    assert 'endpoint="/api/v1/status/{job_id}"' in text
    assert 'endpoint="unmatched"' in text
    assert job_id not in text
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_metrics_token_is_asked_for(make_service: Callable[..., Service]) -> None:
    service = make_service(metrics_token="let-me-in")
    assert service.get("/metrics").code == "unauthenticated"
    assert service.get("/metrics", authorization="Bearer let-me-in").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_says_where_it_listens_and_ends_cleanly_with_a_stream_open(
    valkey: EmbeddedStore, tmp_path: Path, number: signal.Signals
) -> None:
    environment = {
        **os.environ,
        "I2M_REDIS_URL": valkey.url,
        "I2M_STORAGE_URL": (tmp_path / "files").as_uri(),
        "I2M_AUTH": "none",
        "I2M_PORT": "0",
        "I2M_LOG_FORMAT": "json",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    with subprocess.Popen([sys.executable, "-c", RUN], env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines = (msgspec.json.decode(line, type=dict[str, object]) for line in process.stderr)
        port = next(line["port"] for line in lines if line["event"] == "ready")
        assert isinstance(port, int)
        client = subprocess.Popen(
            ["curl", "-sN", f"http://127.0.0.1:{port}/api/v1/events"], stdout=subprocess.PIPE
        )
        assert client.stdout is not None
        assert client.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
        client.communicate(timeout=60)
