"""The generated pages as Markdown: one function for each page, made from the tables in the code."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby
from types import MappingProxyType
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Metric

from image2model.api.openapi import OPERATIONS
from image2model.api.openapi_responses import MEANINGS, problems, problems_of
from image2model.catalogue.bills import Drift
from image2model.errors import IMAGE_FAILURES
from image2model.http.reference import Answer, Operation
from image2model.operations.gauges import (
    AccountGauges,
    EndpointGauge,
    FleetGauges,
    QueueGauge,
    ServerGauges,
    SpendGauge,
    StorageGauges,
    StoreGauges,
    WorkGauges,
)
from image2model.queue.window import Window
from image2model.queue.work import WorkState
from image2model.settings import SETTINGS, Setting
from image2model.store.condition import StoreCondition
from image2model.store.server_load import ServerLoad
from image2model.telemetry import metrics


def _code_list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_EXAMPLE = """```json
{"type": "urn:image2model:problem:not_ready", "title": "Not ready", "status": 409,
 "detail": "This image is generating. Its model is there once it has succeeded.",
 "code": "not_ready", "request_id": "01J9Z3K4M5N6P7Q8"}
```
"""
LABELS: Final = {
    "method": "HTTP method; `other` for unusual ones",
    "endpoint": "the route's template, `unmatched` for every other path",
    "status": "HTTP status, or the final status of an image or a task",
    "task_name": "`process_batch`, `generate_model`, `cleanup` and the other queued tasks",
    "process": "`api`, `worker`, `emulator` or `store`",
    "signal": "the signal's name: `SIGSEGV`, `SIGKILL` …",
    "task": "where it happened: a queued task (`generate_model` …), a background loop of a process "
    "(`loop:heartbeat` …), `http` for a request",
    "model": "FAL's endpoint id; `other` for one that is not in the catalogue",
    "code": "the code of [an error](errors.md)",
    "key": "the names of an owner's keys, separated by commas; `(no key)` for `I2M_ADMIN_KEY` and under "
    "`I2M_AUTH=none`; `(others)` for all but the 500 pairs of key and model that spent most",
    "operation": "the kind of call to FAL: a submission, an upload, a status …",
    "outcome": "the result of the call; of a generation `completed`, `failed` or `cancelled`; of a webhook's "
    "call `delivered`, `failed` (it is called again) or `given_up`",
    "queue": "`model_generation`, `batch_processing`, `maintenance`, `picture_fetch`",
    "reason": "why the queue is paused: `account`, `fal`, or an operator",
    "worker": "the worker's name",
    "state": f"of the store {_code_list(StoreCondition)}; of an unfinished image {_code_list(WorkState)}",
}


def api_page() -> str:
    """The page `api.md`."""
    about = (
        "A running service shows all of this in full, with schemas and examples: `/api/v1/docs` for people, "
        "`/api/v1/openapi.json` for programs. [errors.md](errors.md) explains the codes.\n"
    )
    return page("HTTP interface", about, *_overview(), *map(_operation, OPERATIONS))


def _overview() -> Iterator[str]:
    for tag, group in groupby(OPERATIONS, key=lambda one: one.tag):
        yield f"**{tag}**\n"
        yield table(("Call", ""), ((f"`{one.method} {one.path}`", one.summary) for one in group))


def _operation(operation: Operation) -> str:
    parts = [f"## `{operation.method} {operation.path}`\n", f"{operation.summary}. {operation.description}\n"]
    if operation.access == "admin":
        parts.append("Needs the role `admin`.\n")
    if operation.parameters:
        rows = ((f"`{one.name}`", one.where, one.description) for one in operation.parameters)
        parts.append(table(("Parameter", "In", ""), rows))
    if operation.body is not None:
        form = " or `multipart/form-data`" if operation.body.form else ""
        parts.append(f"Body, `{operation.body.media_type}`{form}: {operation.body.description}\n")
    answers = ((str(one.status), one.description, _shape(one)) for one in operation.answers)
    parts.append(table(("Status", "", "Body"), answers))
    codes = ", ".join(f"`{one.code}`" for one in problems_of(operation))
    parts.append(f"Refusals: {codes}.\n")
    return "\n".join(parts)


def _shape(answer: Answer) -> str:
    if answer.shape is not None:
        other = f" or `{type(answer.otherwise).__name__}`" if answer.otherwise is not None else ""
        return f"`{answer.shape.__name__}`{other}"
    return f"`{answer.media_type}`" if answer.media_type else ""


def errors_page() -> str:
    """The page `errors.md`."""
    refusals = sorted(problems(), key=lambda one: (one.status, one.code))
    rows = ((f"`{one.code}`", str(one.status), MEANINGS[one.code]) for one in refusals)
    failures = ((f"`{code}`", meaning) for code, meaning in IMAGE_FAILURES.items())
    return page(
        "Errors",
        "Every refusal is an RFC 9457 document, `application/problem+json`. `code` is stable and meant for "
        "programs; `detail` is for people. If files are the cause, `errors` lists each of them with "
        "`file`, `code` and `detail`, and the code of the answer is the first file's code.\n",
        _EXAMPLE,
        "## Refusals\n",
        table(("Code", "Status", "Meaning"), rows),
        "## Failures of an image\n",
        'The `error` of an image: `{"code", "message", "retryable", "fal_type"}`. `fal_type` is FAL\'s own '
        "error type, if FAL sent one.\n",
        table(("Code", "Meaning"), failures),
    )


def metrics_page() -> str:
    """The page `metrics.md`."""
    about = (
        "`GET /metrics` in Prometheus' text format; a worker serves its own on `I2M_WORKER_METRICS_PORT`. "
        "Under `up`, the API's `/metrics` shows all processes. No label contains an id.\n"
    )
    rows = ((f"`{name}`", kind, _code_list(labels), text) for name, kind, labels, text in all_metrics())
    labels = table(("Label", "Values"), ((f"`{name}`", text) for name, text in LABELS.items()))
    return page("Metrics", about, table(("Name", "Type", "Labels", "Meaning"), rows), "## Labels\n", labels)


def all_metrics() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Every metric: name as scraped, type, labels and meaning."""
    labels = {one._name: one._labelnames for one in _collectors()}  # noqa: SLF001 - there is no public way to get the names
    gauges = chain.from_iterable(
        one.collect() for one in (_work(), _fleet(), _account(), _storage(), _store(), _server())
    )
    for metric in [*metrics.REGISTRY.collect(), *gauges]:
        found = labels.get(metric.name) or _sampled(metric)
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        yield name, metric.type, tuple(found), metric.documentation


def _collectors() -> Iterator[Counter | Gauge | Histogram]:
    yield from (one for one in vars(metrics).values() if isinstance(one, Counter | Gauge | Histogram))


def _sampled(metric: Metric) -> tuple[str, ...]:
    names = (label for sample in metric.samples for label in sample.labels)
    return tuple(
        dict.fromkeys(name for name in names if name != "le")
    )  # `le` is Prometheus' own label of histograms


def _fleet() -> FleetGauges:
    """A fleet with one of each kind, to get the labels."""
    queue = QueueGauge("model_generation", 0, 0.0, ("account",))
    spend = SpendGauge("name", "model", 0.0)
    endpoint = EndpointGauge("model", 0)
    return FleetGauges(
        in_flight=0,
        queues=[queue],
        heartbeats=[("worker", 0.0)],
        spending=[spend],
        endpoints=[endpoint],
        window=Window(limit=2, running=0, waiting=0, source="learned", endpoints={}, since=None),
    )


def _work() -> WorkGauges:
    images = {state.value: 0 for state in WorkState}
    return WorkGauges(images=images, webhooks_due=0, webhooks_later=0, dead_letters=0, read_at=0.0)


def _account() -> AccountGauges:
    drift = Drift(model="model", billed_micro=1, quoted_micro=1, bookings=1)
    return AccountGauges(drifts=[drift], catalogue_updated_at=0.0, balance_usd=0.0, enough_for=0)


def _storage() -> StorageGauges:
    return StorageGauges(free=0, least=0)


def _store() -> StoreGauges:
    return StoreGauges(state="writable", states=["writable"], writable=True)


def _server() -> ServerGauges:
    return ServerGauges(load=ServerLoad(memory=0, memory_limit=0, commands=0, replicas=0))


def settings_page() -> str:
    """The page `settings.md`."""
    about = (
        "All settings come from the environment. A wrong value stops the start, and the message lists every "
        "problem. A duration is a number of seconds, or a text such as `90s`, `15m`, `12h` or `7d`. A "
        "size is a number of bytes, or a text such as `10MiB`. Separate lists by commas. Switches are `1` "
        "or `0`.\n"
    )
    return page("Settings", about, table(("Name", "Default", "Meaning"), map(_row, SETTINGS)))


def _row(setting: Setting) -> tuple[str, str, str]:
    default = f"`{setting.default}`" if setting.default else "not set"
    return f"`{setting.name}`", default, setting.meaning


def page(title: str, *parts: str) -> str:
    """A complete page, with a note that it is generated."""
    note = "<!-- Made by `python -m image2model.docs`; edit the code that it is made from. -->"
    return "\n".join([note, "", f"# {title}", "", *parts])


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table. The cells are Markdown."""
    names = list(columns)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "api.md": api_page,
        "errors.md": errors_page,
        "metrics.md": metrics_page,
        "settings.md": settings_page,
    }
)
"""File names in `docs/`, and what makes them."""
