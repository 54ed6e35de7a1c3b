"""`docs/metrics.md`, from the metrics themselves. Who calls it: the list of pages."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Metric

from image2model.docs.markdown import page, table
from image2model.store.condition import StoreCondition
from image2model.telemetry import metrics
from image2model.telemetry.fleet_gauges import EndpointGauge, FleetGauges, QueueGauge, SpendGauge
from image2model.telemetry.store_gauges import StoreGauges

LABELS: Final = {
    "method": "HTTP method; `other` for unusual ones",
    "endpoint": "the route's template, `unmatched` for every other path",
    "status": "HTTP status, or the final status of an image or a task",
    "task_name": "`process_batch`, `generate_model`, `cleanup` and the other queued tasks",
    "process": "`api`, `worker`, `emulator` or `store`",
    "signal": "the signal's name: `SIGSEGV`, `SIGKILL` …",
    "task": "where it happened: a queued task (`generate_model` …), a background loop of a process "
    "(`loop:keeper` …), `http` for a request",
    "model": "FAL's endpoint id",
    "key": "names of keys, those of one owner joined by a comma; `(no key)` for `I2M_ADMIN_KEY` and under "
    "`I2M_AUTH=none`; `(others)` beyond the 500 pairs of key and model that spent most",
    "operation": "what was asked of FAL: a submit, an upload, a status …",
    "outcome": "how the call ended",
    "queue": "`model_generation`, `batch_processing`, `maintenance`",
    "reason": "why the queue is paused: `account`, `fal`, or an operator",
    "worker": "the worker's name",
    "state": ", ".join(f"`{condition.value}`" for condition in StoreCondition),
}


def render() -> str:
    """The page."""
    about = (
        "`GET /metrics` in Prometheus' text format; a worker serves its own on `I2M_WORKER_METRICS_PORT`. "
        "Under `up` the API's shows all processes. No label holds an id.\n"
    )
    rows = ((f"`{name}`", kind, _coded(labels), text) for name, kind, labels, text in known())
    labels = table(("Label", "Values"), ((f"`{name}`", text) for name, text in LABELS.items()))
    return page("Metrics", about, table(("Name", "Type", "Labels", "Meaning"), rows), "## Labels\n", labels)


def _coded(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def known() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Every metric: its name as scraped, type, labels and meaning."""
    labels = {one._name: one._labelnames for one in _collectors()}  # noqa: SLF001 - told nowhere else
    for metric in [*metrics.REGISTRY.collect(), *_fleet().collect(), *_store().collect()]:
        found = labels.get(metric.name) or _sampled(metric)
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        yield name, metric.type, tuple(found), metric.documentation


def _collectors() -> Iterator[Counter | Gauge | Histogram]:
    yield from (one for one in vars(metrics).values() if isinstance(one, Counter | Gauge | Histogram))


def _sampled(metric: Metric) -> tuple[str, ...]:
    names = (label for sample in metric.samples for label in sample.labels)
    return tuple(dict.fromkeys(name for name in names if name != "le"))  # Prometheus' own, of histograms


def _fleet() -> FleetGauges:
    """A fleet with something of everything, for its labels."""
    queue = QueueGauge("model_generation", 0, 0.0, ("account",))
    spend = SpendGauge("name", "model", 0.0)
    endpoint = EndpointGauge("model", 0)
    return FleetGauges(
        in_flight=0,
        queues=[queue],
        heartbeats=[("worker", 0.0)],
        spending=[spend],
        endpoints=[endpoint],
    )


def _store() -> StoreGauges:
    return StoreGauges(state="writable", states=["writable"], writable=True)
