"""`image2model_fal_generation_seconds`: from the submission to FAL's end, whichever workers were at it."""

import signal
import urllib.request

import pytest

from image2model.fal.endpoints import Catalogue
from image2model.generation.fal_time import OTHER, label_of
from tests.support.fleet import MODEL, Fleet, at_fal
from tests.support.ports import free_port
from tests.support.scraped import scraped
from tests.support.wait import wait_until

NAME = "image2model_fal_generation_seconds"


def metrics_of(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def counted(port: int, count: int) -> str:
    """The metrics once so many generations are counted: an image ends in the store a moment before."""
    wait_until(lambda: scraped(metrics_of(port), f"{NAME}_count") == count)
    return metrics_of(port)


async def test_generation_is_timed_by_endpoint(fleet: Fleet) -> None:
    port = free_port("127.0.0.1")
    fleet.start_worker(I2M_WORKER_METRICS_PORT=str(port))
    await fleet.until_finished(await fleet.submit(4))
    text = counted(port, 4)
    assert scraped(text, f"{NAME}_count", model=MODEL, outcome="completed") == 4
    assert (scraped(text, f"{NAME}_sum", model=MODEL) or 0) > 4 * 0.2
    assert scraped(text, f"{NAME}_bucket", model=MODEL, le="1800.0") == 4


@pytest.mark.long
async def test_second_worker_counts_from_the_submission_of_the_first(fleet: Fleet) -> None:
    fleet.emulator.settings(latency=4.0)
    first, port = fleet.start_worker(), free_port("127.0.0.1")
    job_id = await fleet.submit()
    await fleet.until(job_id, lambda job: at_fal(job) == 1)
    first.send(signal.SIGKILL)
    fleet.start_worker(I2M_WORKER_METRICS_PORT=str(port))
    await fleet.until_finished(job_id)
    text = counted(port, 1)
    assert scraped(text, f"{NAME}_count", model=MODEL, outcome="completed") == 1
    # FAL has it before its reply is here; counted from the second worker alone it would be less than 2 s
    assert (scraped(text, f"{NAME}_sum", model=MODEL) or 0) > 3


async def test_failure_of_fal_is_no_completed_generation(fleet: Fleet) -> None:
    fleet.emulator.fault("422", count=1)
    port = free_port("127.0.0.1")
    fleet.start_worker(I2M_WORKER_METRICS_PORT=str(port))
    await fleet.until_finished(await fleet.submit())
    text = counted(port, 1)
    assert scraped(text, f"{NAME}_count", model=MODEL, outcome="failed") == 1
    assert scraped(text, f"{NAME}_count", model=MODEL, outcome="completed") is None


def test_endpoints_that_nobody_knows_share_a_label() -> None:
    assert label_of("fal-ai/no-such-model", Catalogue.built_in()) == OTHER
    assert label_of(MODEL, Catalogue.built_in()) == MODEL
