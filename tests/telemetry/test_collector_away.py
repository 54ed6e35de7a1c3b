"""A collector that is away, or hangs, costs spans and nothing else."""

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.fleet import Fleet
from tests.telemetry.conftest import ADMIN_KEY, SOON, Ann


@pytest.fixture(params=["refuses", "hangs"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address that refuses connections, or takes them and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "hangs":
            listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.long
async def test_uploads_and_generations_go_on_and_a_stop_is_prompt(
    fleet: Fleet, ann: Ann, port: int, endpoint: str
) -> None:
    settings = {"I2M_OTEL_ENDPOINT": endpoint, **SOON}
    api = await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **settings)
    worker = fleet.start_worker(**settings)
    for _ in range(3):
        job = await fleet.until_finished(await ann.upload())
        assert job.counts.succeeded == 1
    for process in (worker, api):
        began = time.monotonic()
        process.send(signal.SIGTERM)
        assert await process.exit_code() == 0
        assert time.monotonic() - began < 9  # the exporter's own deadline is 10 s
        assert process.log.read_text().count('"traces_not_delivered"') <= 1


async def test_an_operator_hears_of_it_once(fleet: Fleet, ann: Ann, port: int) -> None:
    settings = {"I2M_OTEL_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3", **SOON}
    api = await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **settings)
    began = time.monotonic()
    while time.monotonic() - began < 60 and '"traces_not_delivered"' not in api.log.read_text():
        assert (await ann.http.get("/jobs")).status_code == 200
    for _ in range(200):
        await ann.http.get("/jobs")
    lines = [line for line in api.log.read_text().splitlines() if '"traces_not_delivered"' in line]
    assert len(lines) == 1
    assert '"level": "warning"' in lines[0]
    assert "opentelemetry.exporter" not in api.log.read_text()
