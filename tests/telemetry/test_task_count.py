"""The gauge of a process's asyncio tasks."""

import asyncio

from image2model.telemetry.metrics import REGISTRY
from image2model.telemetry.tasks import tasks_counted
from tests.support.served_api import Service


def count(process: str) -> float:
    return REGISTRY.get_sample_value("image2model_event_loop_tasks", {"process": process}) or 0.0


async def test_the_gauge_counts_the_tasks_of_the_loop() -> None:
    more = [asyncio.create_task(asyncio.Event().wait()) for _ in range(7)]
    async with tasks_counted("test"):
        async with asyncio.timeout(60):
            while count("test") < 8:
                await asyncio.sleep(0)
        assert count("test") == len(asyncio.all_tasks())
    for task in more:
        task.cancel()
    await asyncio.gather(*more, return_exceptions=True)


def test_an_api_process_shows_its_tasks(service: Service) -> None:
    text = service.get("/metrics").content.decode()
    (line,) = (
        one for one in text.splitlines() if one.startswith('image2model_event_loop_tasks{process="api"}')
    )
    assert float(line.rpartition(" ")[2]) >= 4
