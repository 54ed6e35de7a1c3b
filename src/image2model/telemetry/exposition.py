"""The text that Prometheus scrapes. Who calls it: `/metrics` of the API and of a worker.

With `PROMETHEUS_MULTIPROC_DIR` set the counts of all processes that share the folder are added up; what
reads them is built anew for each scrape, because it reads files.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from image2model.telemetry.fleet_gauges import FleetGauges
from image2model.telemetry.metrics import REGISTRY
from image2model.telemetry.store_gauges import StoreGauges

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def exposition(fleet: FleetGauges | None, store: StoreGauges) -> bytes:
    """All metrics, with the fleet's where the store could be asked. Blocks: it may read files."""
    shared = CollectorRegistry()
    shared.register(store)
    if fleet is not None:
        shared.register(fleet)
    return generate_latest(_counted()) + generate_latest(shared)


def _counted() -> CollectorRegistry:
    if not os.environ.get(_FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return registry


def forget_process(pid: int) -> None:
    """Take the gauges of a process that has ended out of the shared folder. For `up`, of its children."""
    if os.environ.get(_FOLDER):
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
