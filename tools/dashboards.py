"""Writes the dashboards of docker/grafana/dashboards: `python tools/dashboards.py`, or `--check` for stale files.

This table is what people edit. Every panel has one question as its title, and its queries; JSON's layout, units and
links follow from it. `tests/docker/test_dashboards.py` runs each query.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parents[1] / "docker/grafana/dashboards"
PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
LOKI: Final = {"type": "loki", "uid": "loki"}
TEMPO: Final = {"type": "tempo", "uid": "tempo"}
WIDTH: Final = 24
RATE: Final = "[$__rate_interval]"
RANGE: Final = "[$__range]"


class Panel(NamedTuple):
    """One panel. `queries` are (expression, legend); `size` is width and height in Grafana's grid of 24."""

    kind: str
    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str
    about: str
    size: tuple[int, int]
    source: dict[str, str] = PROMETHEUS


def number(title: str, query: str, unit: str = "short", about: str = "") -> Panel:
    """One number, as it is now or over the shown range."""
    return Panel("stat", title, ((query, ""),), unit, about, (4, 4))


def lines(title: str, *queries: tuple[str, str], unit: str = "short", about: str = "") -> Panel:
    """Values over time."""
    return Panel("timeseries", title, queries, unit, about, (12, 8))


def bars(title: str, query: str, legend: str, unit: str = "short", about: str = "") -> Panel:
    """One bar for each label, over the shown range."""
    return Panel("bargauge", title, ((query, legend),), unit, about, (12, 8))


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram over time, by a label if one is given."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}{RATE})))"


def total(metric: str, by: str, where: str = "") -> str:
    """What a counter has counted in the shown range, by a label."""
    return f"sum by ({by}) (increase({metric}{{{where}}}{RANGE}))"


SERVICE: Final = (
    number("API replicas", 'sum(up{job="api"})'),
    number(
        "Workers",
        "count(max by (worker) (image2model_worker_heartbeat_timestamp_seconds))",
        about="By heartbeat.",
    ),
    number("Unfinished pictures", "sum(max by (state) (image2model_unfinished_images))"),
    number("Oldest task", "max(image2model_queue_oldest_seconds)", "s"),
    number("Alerts", 'count(ALERTS{alertstate="firing"}) or vector(0)', about="docs/operations/alerts.md"),
    number("Dead letters", "max(image2model_dead_letters)", about="image2model dead list says why."),
    lines(
        "Where unfinished pictures are",
        ("max by (state) (image2model_unfinished_images)", "{{state}}"),
        about="waiting: for their turn, an endpoint, or the same picture's run.",
    ),
    lines(
        "Pictures that end, each minute",
        (f"sum by (status) (rate(image2model_images_total{RATE})) * 60", "{{status}}"),
    ),
    bars("Pictures that ended", total("image2model_images_total", "status"), "{{status}}"),
    bars("Refused requests", total("image2model_refusals_total", "code"), "{{code}}", about="docs/errors.md"),
    lines(
        "Requests each second",
        (f"sum by (status) (rate(http_requests_total{RATE}))", "{{status}}"),
        unit="reqps",
    ),
    lines(
        "Time of requests, p95",
        (
            quantile(0.95, "http_request_duration_seconds", "endpoint", 'endpoint!~".*(stream|events).*"'),
            "{{endpoint}}",
        ),
        unit="s",
        about="Without event streams, which are meant to last.",
    ),
    lines(
        "From a change to its clients",
        (quantile(0.5, "image2model_event_lag_seconds"), "p50"),
        (quantile(0.99, "image2model_event_lag_seconds"), "p99"),
        unit="s",
    ),
    lines("Open event streams", ("sum(image2model_sse_subscribers)", "streams")),
    lines(
        "Webhooks to call",
        ("max(image2model_webhooks_due)", "due"),
        ("max(image2model_webhooks_retrying)", "failed, later again"),
    ),
    bars("Webhook calls", total("image2model_webhook_calls_total", "outcome"), "{{outcome}}"),
)
MONEY: Final = (
    number("Spent today (UTC)", "sum(max by (key, model) (image2model_spend_usd))", "currencyUSD"),
    number("Balance at FAL", "min(image2model_fal_balance_usd)", "currencyUSD", "Needs I2M_FAL_ADMIN_KEY."),
    number("Pictures that it pays for", "min(image2model_fal_balance_pictures)"),
    number(
        "Cost of a picture",
        f"sum(increase(image2model_fal_cost_usd_total{RANGE}))"
        f' / sum(increase(image2model_images_total{{status="succeeded"}}{RANGE}))',
        "currencyUSD",
        "What FAL charged for each picture that got a model.",
    ),
    number("Over budget", f"sum(increase(image2model_budget_overrun_usd_total{RANGE}))", "currencyUSD"),
    number(
        "Refused for their budget",
        f'sum(increase(image2model_refusals_total{{code="budget_exceeded"}}{RANGE})) or vector(0)',
    ),
    lines(
        "Dollars each hour",
        (f"sum by (model) (rate(image2model_fal_cost_usd_total{RATE})) * 3600", "{{model}}"),
        unit="currencyUSD",
    ),
    bars("Booked, by model", total("image2model_fal_cost_usd_total", "model"), "{{model}}", "currencyUSD"),
    bars(
        "Spent today, by key",
        "sum by (key) (max by (key, model) (image2model_spend_usd))",
        "{{key}}",
        "currencyUSD",
        "Needs I2M_METRICS_TOKEN.",
    ),
    lines(
        "FAL's bills against our quotes",
        ("max by (model) (image2model_price_drift_ratio)", "{{model}}"),
        unit="percentunit",
        about="0 % is as quoted; an alert comes at 10 %.",
    ),
    bars(
        "Bills that contradict the price list", total("image2model_cost_mismatch_total", "model"), "{{model}}"
    ),
)
GENERATIONS: Final = 'outcome="completed",model=~"$model"'
FAL: Final = (
    number("Runs at once", "max(image2model_fal_concurrency_limit)", about="What FAL runs for the account."),
    number("Running", "max(image2model_fal_running)"),
    number("Waiting at FAL", "max(image2model_fal_waiting)"),
    number("Pauses", "count(max by (queue, reason) (image2model_queue_paused)) or vector(0)"),
    number(
        "Models with an open circuit", "sum(max by (model) (image2model_endpoint_circuit_open)) or vector(0)"
    ),
    number("Age of the model list", "time() - max(image2model_catalogue_updated_timestamp_seconds)", "s"),
    lines(
        "Time of a generation, p50",
        (quantile(0.5, "image2model_fal_generation_seconds", "model", GENERATIONS), "{{model}}"),
        unit="s",
        about="From the submission to FAL's end.",
    ),
    lines(
        "Time of a generation, p95",
        (quantile(0.95, "image2model_fal_generation_seconds", "model", GENERATIONS), "{{model}}"),
        unit="s",
    ),
    bars(
        "Generations, by outcome",
        total("image2model_fal_generation_seconds_count", "model, outcome", 'model=~"$model"'),
        "{{model}}: {{outcome}}",
    ),
    lines(
        "At FAL",
        ("max(image2model_fal_running)", "running"),
        ("max(image2model_fal_waiting)", "waiting there"),
        ("max(image2model_images_in_flight)", "permits"),
        ("max(image2model_fal_concurrency_limit)", "limit"),
    ),
    lines(
        "Calls each second",
        (
            f"sum by (operation, outcome) (rate(image2model_fal_requests_total{RATE}))",
            "{{operation}}: {{outcome}}",
        ),
        unit="reqps",
    ),
    lines(
        "Time of calls, p95",
        (quantile(0.95, "image2model_fal_latency_seconds", "operation"), "{{operation}}"),
        unit="s",
        about="A status stream lasts as long as its generation.",
    ),
    lines(
        "In doubt",
        (f"sum(increase(image2model_submissions_unconfirmed_total{RANGE}))", "replies lost"),
        ("max(image2model_fal_deletions_pending)", "to be deleted at FAL"),
        ("max(image2model_fal_deletions_failing)", "deletions that fail"),
    ),
)
STORE: Final = (
    number("Takes writes", "min(image2model_store_writable)", "bool_yes_no"),
    number("Memory", "max(image2model_store_memory_bytes)", "bytes"),
    number("Limit of its memory", "max(image2model_store_memory_limit_bytes)", "bytes", "0: none is set."),
    number("Replicas", "max(image2model_store_replicas)"),
    number("Free on the storage's disk", "min(image2model_storage_free_bytes)", "bytes"),
    number("Rollbacks", f"sum(increase(image2model_store_rollbacks_total{RANGE}))"),
    lines("State", ("max by (state) (image2model_store_state) > 0", "{{state}}")),
    lines(
        "Commands each second", (f"max(rate(image2model_store_commands_total{RATE}))", "commands"), unit="ops"
    ),
    lines(
        "Commands for each picture",
        (
            f"max(rate(image2model_store_commands_total{RATE})) / sum(rate(image2model_images_total{RATE}) > 0)",
            "commands",
        ),
        about="With all that is read beside; without load it says nothing.",
    ),
    lines("Memory over time", ("max(image2model_store_memory_bytes)", "memory"), unit="bytes"),
    lines(
        "Restarts, failovers, lost leases",
        (f"max(increase(image2model_store_life_changes_total{RANGE}))", "another server process"),
        (f"sum(increase(image2model_leases_lost_total{RANGE}))", "leases lost"),
        ("max(image2model_workers_lost_total)", "workers lost, in all"),
    ),
    lines("Tasks in the event loops", ("sum by (process) (image2model_event_loop_tasks)", "{{process}}")),
)
JOB: Final = (
    lines(
        "Time of a worker's run, p95",
        (quantile(0.95, "task_duration_seconds", "task_name"), "{{task_name}}"),
        unit="s",
        about="Click a spike: its lines, and from a line its trace.",
    ),
    lines(
        "Time at FAL, p95",
        (quantile(0.95, "image2model_fal_generation_seconds", "model", 'outcome="completed"'), "{{model}}"),
        unit="s",
    ),
    Panel(
        "logs",
        "Lines of this job",
        (('{service_name="image2model"} |= "$job" | json', ""),),
        "short",
        "Put a job's, an image's or a request's id above. A line's trace_id leads to its trace.",
        (24, 10),
        LOKI,
    ),
    Panel(
        "logs",
        "Warnings and errors of this time",
        (('{service_name="image2model", level=~"warning|error|critical"} | json', ""),),
        "short",
        "",
        (24, 10),
        LOKI,
    ),
    Panel(
        "table",
        "Traces of this job",
        (('{ span.image2model.job_id = "$job" || span.image2model.image_id = "$job" }', ""),),
        "short",
        "Needs I2M_OTEL_ENDPOINT.",
        (24, 8),
        TEMPO,
    ),
)
MODEL: Final = {
    "name": "model",
    "type": "query",
    "label": "Model",
    "datasource": PROMETHEUS,
    "query": "label_values(image2model_fal_generation_seconds_count, model)",
    "refresh": 2,
    "includeAll": True,
    "multi": True,
    "allValue": ".*",
    "sort": 1,
}
JOB_ID: Final = {"name": "job", "type": "textbox", "label": "Id of a job, an image or a request", "query": ""}
DASHBOARDS: Final = {
    "service": ("The service", SERVICE, ()),
    "money": ("Money", MONEY, ()),
    "fal": ("FAL", FAL, (MODEL,)),
    "store": ("The store", STORE, ()),
    "job": ("One job's way", JOB, (JOB_ID,)),
}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "none"},
    "bargauge": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
    },
    "timeseries": {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "logs": {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
    "table": {"showHeader": True},
}
TO_LINES: Final = {
    "title": "Lines of this time",
    "url": "/d/image2model-job?time=${__value.time}&time.window=600000",
    "targetBlank": False,
}


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard in Grafana's JSON."""
    title, panels, variables = DASHBOARDS[name]
    return {
        "uid": f"image2model-{name}",
        "title": f"image2model: {title}",
        "description": "Made by tools/dashboards.py: edit that.",
        "tags": ["image2model"],
        "timezone": "browser",
        "schemaVersion": 41,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "image2model",
                "tags": ["image2model"],
                "asDropdown": True,
                "icon": "external link",
                "includeVars": False,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {"list": list(variables)},
        "panels": list(_placed(panels)),
    }


def _placed(panels: tuple[Panel, ...]) -> Iterator[dict[str, Any]]:
    """The panels from left to right, each row as high as its highest."""
    x = y = height = 0
    for number_of, one in enumerate(panels, 1):
        w, h = one.size
        if x + w > WIDTH:
            x, y, height = 0, y + height, 0
        yield _panel(number_of, one, {"x": x, "y": y, "w": w, "h": h})
        x, height = x + w, max(height, h)


def _panel(number_of: int, one: Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": one.unit}
    if one.kind == "timeseries":
        defaults["links"] = [TO_LINES]
    return {
        "id": number_of,
        "type": one.kind,
        "title": one.title,
        "description": one.about,
        "datasource": one.source,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[one.kind],
        "targets": [_target(one, index, *query) for index, query in enumerate(one.queries)],
    }


def _target(one: Panel, index: int, query: str, legend: str) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": chr(ord("A") + index), "datasource": one.source}
    if one.source is TEMPO:
        return {**target, "query": query, "queryType": "traceql", "limit": 20}
    target |= {"expr": query, "legendFormat": legend or "__auto"}
    if one.source is PROMETHEUS:
        target["instant"] = one.kind != "timeseries"
        target["range"] = one.kind == "timeseries"
    return target


def main(*arguments: str) -> int:
    """Write the files, or with `--check` say which are stale."""
    texts = {FOLDER / f"{name}.json": json.dumps(dashboard(name), indent=1) + "\n" for name in DASHBOARDS}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is stale: run tools/dashboards.py", file=sys.stderr)
        return int(bool(stale))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(texts[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
