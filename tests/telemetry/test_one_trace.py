"""One trace from an upload to its model, with nothing in it that nobody else should see."""

import json
import signal

import httpx
import pytest

from tests.support.emulator_process import KEY
from tests.support.fleet import Fleet
from tests.support.gate import gate_to
from tests.support.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.support.wait import until
from tests.telemetry.conftest import ADMIN_KEY, SOON, Ann

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
UPLOAD = "POST /api/v1/upload/batch"
STATUS = "GET /api/v1/status/{job_id}"


def traced(collector: OtlpReceiver) -> dict[str, str]:
    """The settings of a process that traces into the collector."""
    return {"I2M_OTEL_ENDPOINT": collector.url, **SOON}


async def arrived(collector: OtlpReceiver, name: str, count: int = 1) -> list[ReceivedSpan]:
    """Wait for spans of a name."""

    async def there() -> bool:
        return len(collector.spans(name)) >= count

    await until(there)
    return collector.spans(name)


def children(collector: OtlpReceiver, parent: ReceivedSpan) -> dict[str, ReceivedSpan]:
    """Its children by name."""
    return {span.name: span for span in collector.spans() if span.parent_id == parent.span_id}


@pytest.mark.long
async def test_one_trace_leads_from_the_upload_to_the_model(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **traced(collector))
    fleet.start_worker(**traced(collector))
    fleet.emulator.settings(latency=2)
    job_id = await ann.upload(traceparent=TRACEPARENT)
    job = await fleet.until_finished(job_id)
    assert job.counts.succeeded == 1

    (upload,) = await arrived(collector, UPLOAD)
    assert (upload.trace_id, upload.parent_id) == (TRACE, CALLER)
    assert (upload.service, upload.kind, upload.failed) == ("image2model-api", "SERVER", False)
    assert upload.attributes["http.route"] == "/api/v1/upload/batch"
    assert upload.attributes["http.request.method"] == "POST"
    assert upload.attributes["http.response.status_code"] == 202

    (run,) = await arrived(collector, "generate_model")
    assert (run.trace_id, run.parent_id) == (TRACE, upload.span_id)
    assert (run.service, run.kind, run.failed) == ("image2model-worker", "CONSUMER", False)
    assert run.attributes["image2model.job_id"] == job_id
    assert run.attributes["image2model.image_id"] == job.images[0].image_id
    assert run.attributes["image2model.model"] == job.job.model
    assert run.attributes["image2model.outcome"] == "succeeded"

    steps = children(collector, run)
    assert {"prepare", "fal.upload", "fal.submit", "follow", "fal.result", "fal.download", "store"} <= set(
        steps
    )
    assert steps["fal.submit"].kind == "CLIENT"
    assert steps["follow"].events[-1] == "COMPLETED"
    assert set(children(collector, steps["follow"])) == {"fal.stream"}
    assert steps["follow"].seconds >= 1  # FAL takes 2 s, of which some pass before it is followed
    assert {span.trace_id for span in [upload, run, *steps.values()]} == {TRACE}


@pytest.mark.long
async def test_failed_run_names_its_error_and_the_trace_is_in_the_log(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    api = await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **traced(collector))
    worker = fleet.start_worker(**traced(collector))
    fleet.emulator.fault("422", count=1)
    job_id = await ann.upload(traceparent=TRACEPARENT)
    assert (await fleet.until_finished(job_id)).counts.failed == 1
    (run,) = await arrived(collector, "generate_model")
    assert (run.failed, run.attributes["image2model.outcome"]) == (True, "failed")
    assert run.attributes["error.type"] == "rejected_by_model"
    (failed,) = [json.loads(one) for one in worker.log.read_text().splitlines() if "image_failed" in one]
    assert (failed["trace_id"], failed["span_id"]) == (TRACE, run.span_id)
    (request,) = [
        one for one in api.log.read_text().splitlines() if '"event": "request"' in one and UPLOAD[5:] in one
    ]
    (upload,) = await arrived(collector, UPLOAD)
    assert json.loads(request)["span_id"] == upload.span_id


@pytest.mark.long
async def test_no_key_cookie_token_or_query_is_in_a_trace(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **traced(collector))
    fleet.start_worker(**traced(collector))
    job_id = await ann.upload()
    job = await fleet.until_finished(job_id)
    link = (await ann.http.get(f"/download/{job_id}/{job.images[0].image_id}")).headers["location"]
    assert (await ann.http.get(httpx.URL(ann.http.base_url).join(link))).status_code == 200
    signed_in = await ann.http.post("/session", json={"key": ADMIN_KEY})
    (cookie,) = signed_in.cookies.values()
    assert (await ann.http.get(f"/status/{job_id}?secret=of-the-query")).status_code == 200
    assert (await ann.http.get("/of-no-route/secret-of-the-path")).status_code == 404
    await arrived(collector, "GET")
    await arrived(collector, "generate_model")
    raw = collector.raw()
    assert job_id.encode() in raw
    token = link.rpartition("/")[2].partition("?")[0]
    for secret in (
        ADMIN_KEY,
        KEY,
        KEY.partition(":")[2],
        cookie,
        token,
        "of-the-query",
        "secret-of-the-path",
    ):
        assert secret.encode() not in raw
    assert not [span for span in collector.spans() if job_id in span.name]


async def test_event_stream_is_a_span_for_its_opening_and_health_has_none(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **traced(collector))
    await ann.http.get("/health/live")
    await ann.http.get("/health/ready")
    await ann.http.get(f"http://127.0.0.1:{port}/metrics")
    async with ann.http.stream("GET", "/events") as stream:
        assert stream.status_code == 200
        (opened,) = await arrived(collector, "GET /api/v1/events")
        assert opened.attributes["http.response.status_code"] == 200
        assert (await ann.http.get("/status/unknown")).status_code == 404
        (missing,) = await arrived(collector, STATUS)
    assert not missing.failed
    assert {span.name for span in collector.spans()} == {"GET /api/v1/events", STATUS}


@pytest.mark.long
async def test_fal_sees_no_header_of_the_trace(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    seen: list[bytes] = []

    def note(message: bytes) -> bool:
        seen.append(message)
        return False

    async with gate_to(fleet.emulator.url) as fal:
        fal.hold(note, answer=False)
        await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **traced(collector))
        worker = fleet.start_worker(I2M_FAL_BASE_URL=f"http://127.0.0.1:{fal.port}", **traced(collector))
        await fleet.until_finished(await ann.upload(traceparent=TRACEPARENT))
        await worker.end()
    said = b"".join(seen).lower()
    assert b"post /tripo3d/" in said
    assert b"traceparent" not in said
    assert TRACE.encode() not in said


@pytest.mark.long
async def test_what_is_left_is_sent_when_a_process_stops(
    fleet: Fleet, collector: OtlpReceiver, ann: Ann, port: int
) -> None:
    late = {"I2M_OTEL_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    api = await fleet.start_api(port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN_KEY, **late)
    worker = fleet.start_worker(**late)
    await fleet.until_finished(await ann.upload())
    assert collector.requests == []
    for process in (worker, api):
        process.send(signal.SIGTERM)
    assert [await process.exit_code() for process in (api, worker)] == [0, 0]
    assert collector.spans(UPLOAD)
    assert collector.spans("generate_model")
    assert {path for path, _, _ in collector.requests} == {"/v1/traces"}
