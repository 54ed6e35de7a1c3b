"""The metrics of docs/metrics.md, one object each. No label holds an id.

Who calls it: whatever is counted. What the whole fleet shares (queues, workers) is in `fleet_gauges`.
With `PROMETHEUS_MULTIPROC_DIR` set, as `up` does, all processes count into one folder, and `exposition`
adds them up.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)

HTTP_REQUESTS: Final = Counter(
    "http_requests", "HTTP requests answered.", ["method", "endpoint", "status"], registry=REGISTRY
)
HTTP_DURATION: Final = Histogram(
    "http_request_duration_seconds",
    "Time from a request to the end of its answer.",
    ["method", "endpoint"],
    buckets=_FAST,
    registry=REGISTRY,
)
TASK_DURATION: Final = Histogram(
    "task_duration_seconds",
    "Run time of a queued task.",
    ["task_name", "status"],
    buckets=_LONG,
    registry=REGISTRY,
)
IMAGES: Final = Counter(
    "image2model_images", "Images that reached a final status.", ["model", "status"], registry=REGISTRY
)
FAL_REQUESTS: Final = Counter(
    "image2model_fal_requests", "Calls to FAL.", ["operation", "outcome"], registry=REGISTRY
)
FAL_LATENCY: Final = Histogram(
    "image2model_fal_latency_seconds",
    "Duration of calls to FAL.",
    ["operation"],
    buckets=_FAST,
    registry=REGISTRY,
)
FAL_COST: Final = Counter(
    "image2model_fal_cost_usd", "Dollars that FAL took, as booked.", ["model"], registry=REGISTRY
)
COST_MISMATCH: Final = Counter(
    "image2model_cost_mismatch",
    "Requests whose billable units contradict the table's price, so that the table's was booked.",
    ["model"],
    registry=REGISTRY,
)
BUDGET_OVERRUN: Final = Counter(
    "image2model_budget_overrun_usd",
    "Dollars by which budgets were exceeded because FAL took more than was set aside.",
    registry=REGISTRY,
)
UNCONFIRMED: Final = Counter(
    "image2model_submissions_unconfirmed", "Submits whose reply was lost.", registry=REGISTRY
)
UNEXPECTED_ERRORS: Final = Counter(
    "image2model_unexpected_errors",
    "Errors that nobody expected; the log has each with its traceback (`unexpected_error`).",
    ["task"],
    registry=REGISTRY,
)
PROCESS_DEATHS: Final = Counter(
    "image2model_process_deaths",
    "Processes under `up` that a signal ended which `up` had not sent.",
    ["process", "signal"],
    registry=REGISTRY,
)
DECODER_DEATHS: Final = Counter(
    "image2model_decoder_deaths",
    "Processes that died while they decoded one suspected picture.",
    registry=REGISTRY,
)
LEASES_LOST: Final = Counter("image2model_leases_lost", "Leases lost to another worker.", registry=REGISTRY)
SSE_SUBSCRIBERS: Final = Gauge(
    "image2model_sse_subscribers", "Open event streams.", registry=REGISTRY, multiprocess_mode="livesum"
)
SSE_EVENTS: Final = Counter("image2model_sse_events", "Events sent to subscribers.", registry=REGISTRY)
EVENT_LAG: Final = Histogram(
    "image2model_event_lag_seconds",
    "From a change in the store to the subscribers' sockets.",
    buckets=_FAST,
    registry=REGISTRY,
)
STORE_RUN_CHANGES: Final = Counter(
    "image2model_store_life_changes",
    "Times that a client of the store met another server process than before: a restart, or a failover.",
    registry=REGISTRY,
)
STORE_ROLLBACKS: Final = Counter(
    "image2model_store_rollbacks",
    "Documents and event streams that were ahead of the store, since it has come back with older data.",
    registry=REGISTRY,
)

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
