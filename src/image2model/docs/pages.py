"""Markdown from rows. Who calls it: the pages."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Metric

from image2model.api.openapi import OPERATIONS
from image2model.api.openapi_responses import MEANINGS, problems, problems_of
from image2model.errors import IMAGE_FAILURES
from image2model.http.reference import Answer, Operation
from image2model.operations.metrics import EndpointGauge, FleetGauges, QueueGauge, SpendGauge, StoreGauges
from image2model.settings import SETTINGS, Setting
from image2model.store.condition import StoreCondition
from image2model.telemetry import metrics


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are Markdown already, on one line each."""
    names = list(heads)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def page(title: str, *parts: str) -> str:
    """A whole page, with the note that nobody edits it."""
    note = "<!-- Made by `python -m image2model.docs`; edit the code that it is made from. -->"
    return "\n".join([note, "", f"# {title}", "", *parts])


def api_page() -> str:
    """The page."""
    about = (
        "A running service tells all of this in full, with schemas and examples: `/api/v1/docs` for people, "
        "`/api/v1/openapi.json` for programs. The codes are those of [errors.md](errors.md).\n"
    )
    return page("HTTP interface", about, *_overview(), *map(_operation, OPERATIONS))


def _overview() -> Iterator[str]:
    for tag, group in groupby(OPERATIONS, key=lambda one: one.tag):
        yield f"**{tag}**\n"
        yield table(("Call", ""), ((f"`{one.method} {one.path}`", one.summary) for one in group))


def _operation(operation: Operation) -> str:
    parts = [f"## `{operation.method} {operation.path}`\n", f"{operation.summary}. {operation.description}\n"]
    if operation.access == "admin":
        parts.append("For the role `admin`.\n")
    if operation.parameters:
        rows = ((f"`{one.name}`", one.where, one.description) for one in operation.parameters)
        parts.append(table(("Parameter", "In", ""), rows))
    if operation.body is not None:
        parts.append(f"Body, `{operation.body.media_type}`: {operation.body.description}\n")
    answers = ((str(one.status), one.description, _shape(one)) for one in operation.answers)
    parts.append(table(("Status", "", "Body"), answers))
    codes = ", ".join(f"`{one.code}`" for one in problems_of(operation))
    parts.append(f"Refusals: {codes}.\n")
    return "\n".join(parts)


def _shape(answer: Answer) -> str:
    if answer.shape is not None:
        return f"`{answer.shape.__name__}`"
    return f"`{answer.media_type}`" if answer.media_type else ""


_EXAMPLE = """```json
{"type": "urn:image2model:problem:not_ready", "title": "Not ready", "status": 409,
 "detail": "This image is generating. Its model is there once it has succeeded.",
 "code": "not_ready", "request_id": "01J9Z3K4M5N6P7Q8"}
```
"""


def errors_page() -> str:
    """The page."""
    refusals = sorted(problems(), key=lambda one: (one.status, one.code))
    rows = ((f"`{one.code}`", str(one.status), MEANINGS[one.code]) for one in refusals)
    failures = ((f"`{code}`", meaning) for code, meaning in IMAGE_FAILURES.items())
    return page(
        "Errors",
        "Every refusal is an RFC 9457 document, `application/problem+json`. `code` is stable, and for "
        "programs; `detail` is for people. Where files are to blame, `errors` names each of them with "
        "`file`, `code` and `detail`, and the answer's own code is the first one's.\n",
        _EXAMPLE,
        "## Refusals\n",
        table(("Code", "Status", "Meaning"), rows),
        "## Failures of an image\n",
        'The `error` of an image: `{"code", "message", "retryable", "fal_type"}`. `fal_type` is FAL\'s own '
        "word, where it said one.\n",
        table(("Code", "Meaning"), failures),
    )


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


def metrics_page() -> str:
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


def settings_page() -> str:
    """The page."""
    about = (
        "All settings come from the environment. A wrong value stops the start, with every problem named at "
        "once. Durations are seconds, or such as `90s`, `15m`, `12h`, `7d`; sizes are bytes, or such as "
        "`10MiB`; lists are separated by commas; switches are `1` or `0`.\n"
    )
    return page("Settings", about, table(("Name", "Default", "Meaning"), map(_row, SETTINGS)))


def _row(setting: Setting) -> tuple[str, str, str]:
    default = f"`{setting.default}`" if setting.default else "not set"
    return f"`{setting.name}`", default, setting.meaning


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "api.md": api_page,
        "errors.md": errors_page,
        "metrics.md": metrics_page,
        "settings.md": settings_page,
    }
)
"""File names in `docs/`, and what makes them."""
