"""The metrics of docs/metrics.md, one object each. No label may hold an id.

Gauges of the whole fleet (queues, workers) are in `operations.metrics`. If `PROMETHEUS_MULTIPROC_DIR` is set,
as `up` does, all processes count into that folder, and `collected` adds them up.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_GENERATION: Final = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800)
_LONG: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)

HTTP_REQUESTS: Final = Counter(
    "http_requests", "Answered HTTP requests.", ["method", "endpoint", "status"], registry=REGISTRY
)
HTTP_DURATION: Final = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the end of its answer.",
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
FAL_GENERATION: Final = Histogram(
    "image2model_fal_generation_seconds",
    "Time of a whole generation at FAL: from the reply to the submission to the end of the request.",
    ["model", "outcome"],
    buckets=_GENERATION,
    registry=REGISTRY,
)
FAL_COST: Final = Counter(
    "image2model_fal_cost_usd", "Dollars that FAL charged, as booked.", ["model"], registry=REGISTRY
)
COST_MISMATCH: Final = Counter(
    "image2model_cost_mismatch",
    "Requests whose billable units contradict the price table, so that the table's price was booked.",
    ["model"],
    registry=REGISTRY,
)
BUDGET_OVERRUN: Final = Counter(
    "image2model_budget_overrun_usd",
    "Dollars by which budgets were exceeded because FAL charged more than was reserved.",
    registry=REGISTRY,
)
UNCONFIRMED: Final = Counter(
    "image2model_submissions_unconfirmed", "Submissions whose reply was lost.", registry=REGISTRY
)
FAL_DELETIONS: Final = Counter(
    "image2model_fal_deletions",
    "Tries to delete at FAL what it keeps of a request, under I2M_FAL_PRIVACY=private.",
    ["outcome"],
    registry=REGISTRY,
)
WEBHOOK_CALLS: Final = Counter(
    "image2model_webhook_calls",
    "Calls of clients' webhooks.",
    ["outcome"],
    registry=REGISTRY,
)
REFUSALS: Final = Counter(
    "image2model_refusals",
    "Requests that were answered with a problem, by its code.",
    ["code"],
    registry=REGISTRY,
)
UNEXPECTED_ERRORS: Final = Counter(
    "image2model_unexpected_errors",
    "Unexpected errors; the log event `unexpected_error` has the traceback of each.",
    ["task"],
    registry=REGISTRY,
)
PROCESS_DEATHS: Final = Counter(
    "image2model_process_deaths",
    "Processes under `up` that were ended by a signal which `up` did not send.",
    ["process", "signal"],
    registry=REGISTRY,
)
DECODER_DEATHS: Final = Counter(
    "image2model_decoder_deaths",
    "Processes that died while they decoded a single suspected picture.",
    registry=REGISTRY,
)
LEASES_LOST: Final = Counter("image2model_leases_lost", "Leases lost to another worker.", registry=REGISTRY)
SSE_SUBSCRIBERS: Final = Gauge(
    "image2model_sse_subscribers", "Open event streams.", registry=REGISTRY, multiprocess_mode="livesum"
)
EVENT_LOOP_TASKS: Final = Gauge(
    "image2model_event_loop_tasks",
    "asyncio tasks of a process, counted every 5 s. Without load their number is constant.",
    ["process"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
WAITING_REQUESTS: Final = Gauge(
    "image2model_waiting_requests",
    "Requests with `Prefer: wait` that wait for the end of their job.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
SSE_EVENTS: Final = Counter("image2model_sse_events", "Events sent to subscribers.", registry=REGISTRY)
EVENT_LAG: Final = Histogram(
    "image2model_event_lag_seconds",
    "Time from a change in the store to the subscribers' sockets.",
    buckets=_FAST,
    registry=REGISTRY,
)
STORE_RUN_CHANGES: Final = Counter(
    "image2model_store_life_changes",
    "How often a client of the store found another server process than before: a restart or a failover.",
    registry=REGISTRY,
)
STORE_ROLLBACKS: Final = Counter(
    "image2model_store_rollbacks",
    "Documents and event streams that were ahead of the store after it came back with older data.",
    registry=REGISTRY,
)

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def collected() -> CollectorRegistry:
    """The metrics of all processes of this service on this machine. Blocks: it may read files."""
    if not os.environ.get(_FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
    return registry


def forget_process(pid: int) -> None:
    """Remove the gauges of an ended process from the shared folder."""
    if os.environ.get(_FOLDER):
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
