"""The counts of all processes that share a folder. Who calls it: `/metrics`, and `up` when a child ends.

With `PROMETHEUS_MULTIPROC_DIR` set the counts of all processes that share the folder are added up; what
reads them is built anew for each scrape, because it reads files.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from image2model.telemetry.metrics import REGISTRY

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def counted() -> CollectorRegistry:
    """What all processes of this service on this machine have counted. Blocks: it may read files."""
    if not os.environ.get(_FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return registry


def forget_process(pid: int) -> None:
    """Take the gauges of a process that has ended out of the shared folder. For `up`, of its children."""
    if os.environ.get(_FOLDER):
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
