"""Every alert fires in the state that it is for and stays silent beside it, by Prometheus's own rule tests.

What an alert says, and exactly when it begins and ends, is in `alerts_test.yml` and `alert_rules`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.compose import ROOT

RULES = ROOT / "docker/prometheus/alerts.yml"
RUNBOOK = "docs/operations/alerts.md"
HOUR = 60
"""Values are one a minute; it is looked at after an hour."""

Series = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """`bad` fires the alert with these labels after an hour, `good` does not."""

    bad: Series
    good: Series
    labels: dict[str, str] = field(default_factory=dict)


def steady(value: float) -> str:
    return f"{value:g}x{HOUR}"


def growing(by: float) -> str:
    return f"0+{by:g}x{HOUR}"


UP_API, UP_WORKER = 'up{job="api",instance="api-1"}', 'up{job="worker",instance="worker-1"}'
BEAT = 'image2model_worker_heartbeat_timestamp_seconds{worker="w1",instance="api-1"}'
FREE, LEAST = "image2model_storage_free_bytes", "image2model_storage_least_free_bytes"
MODEL = 'model="fal-ai/trellis"'
DONE, FAILED = (f'image2model_images_total{{{MODEL},status="{name}"}}' for name in ("succeeded", "failed"))
DELIVERED, CALL_FAILED, GIVEN_UP = (
    f'image2model_webhook_calls_total{{outcome="{name}"}}' for name in ("delivered", "failed", "given_up")
)
STORING = 'image2model_unfinished_images{state="storing"}'
OPEN, WAITING = (f"image2model_endpoint_{name}{{{MODEL}}}" for name in ("circuit_open", "waiting"))
MEMORY, LIMIT = "image2model_store_memory_bytes", "image2model_store_memory_limit_bytes"
NEWS = f"_x{HOUR - 5} 1x10"
"""A counter whose series appears with its first event, five minutes ago."""


def state(name: str, value: int = 1) -> Series:
    return {f'image2model_store_state{{state="{name}"}}': steady(value)}


def paused(reason: str, value: int = 1) -> Series:
    return {f'image2model_queue_paused{{queue="model_generation",reason="{reason}"}}': steady(value)}


def once(name: str) -> Case:
    """A counter that has gone up by one lately."""
    return Case({name: f"0x{HOUR - 5} 1x10"}, {name: steady(3)})


def appeared(name: str, **labels: str) -> Case:
    """A counter whose series is new."""
    return Case({name: NEWS}, {name: steady(3)}, labels)


def lag(within_a_second: int) -> Series:
    """Of nine events a minute, so many reach their clients in time, and all within 2.5 s."""
    buckets = (("1.0", within_a_second), ("2.5", 9), ("+Inf", 9))
    return {f'image2model_event_lag_seconds_bucket{{le="{le}"}}': growing(n) for le, n in buckets}


CASES: dict[str, Case] = {
    "ApiDown": Case({UP_API: steady(0)}, {UP_API: steady(1)}, {"job": "api", "instance": "api-1"}),
    "NoApi": Case({UP_API: steady(0)}, {UP_API: steady(1)}),
    "NoWorker": Case({UP_WORKER: steady(0)}, {UP_WORKER: steady(1)}),
    "WorkerStuck": Case(
        {UP_WORKER: steady(1), UP_WORKER.replace("-1", "-2"): steady(1), BEAT: growing(60)},
        {UP_WORKER: steady(1), BEAT: growing(60), BEAT.replace("api-1", "api-2"): growing(60)},
    ),
    "ResultsNotStored": Case(
        {STORING: steady(3), DONE: steady(7)}, {STORING: steady(3), DONE: growing(1)}, {}
    ),
    "StoreTakesNoWrites": Case(state("disk"), state("writable"), {"state": "disk"}),
    "StoreAway": Case(state("away"), state("writable"), {"state": "away"}),
    "StoreMemoryHigh": Case({MEMORY: steady(90), LIMIT: steady(100)}, {MEMORY: steady(90), LIMIT: steady(0)}),
    "StoreLifeChanged": once("image2model_store_life_changes_total"),
    "StoreRolledBack": once("image2model_store_rollbacks_total"),
    "DiskFull": Case({FREE: steady(9), LEAST: steady(10)}, {FREE: steady(150), LEAST: steady(10)}),
    "DiskNearlyFull": Case({FREE: steady(150), LEAST: steady(10)}, {FREE: steady(300), LEAST: steady(10)}),
    "FalAccountRefused": Case(paused("account"), paused("fal")),
    "QueuePaused": Case(paused("fal"), paused("account"), {"queue": "model_generation", "reason": "fal"}),
    "EndpointRefused": Case(
        {OPEN: steady(1), WAITING: steady(2)},
        {OPEN: steady(1), WAITING: steady(0)},
        {"model": "fal-ai/trellis"},
    ),
    "EndpointCircuitOpen": Case(
        {OPEN: steady(1), WAITING: steady(0)},
        {OPEN: steady(1), WAITING: steady(2)},
        {"model": "fal-ai/trellis"},
    ),
    "QueueOld": Case(
        {'image2model_queue_oldest_seconds{queue="batch_processing"}': steady(1000)},
        {'image2model_queue_oldest_seconds{queue="batch_processing"}': steady(100)},
        {"queue": "batch_processing"},
    ),
    "ImagesFailing": Case({FAILED: growing(1), DONE: growing(2)}, {FAILED: growing(1), DONE: growing(4)}),
    "DeadLetters": Case({"image2model_dead_letters": growing(1)}, {"image2model_dead_letters": steady(500)}),
    "WebhooksFailing": Case(
        {CALL_FAILED: growing(2), DELIVERED: growing(1)}, {CALL_FAILED: growing(1), DELIVERED: growing(2)}
    ),
    "WebhooksGivenUp": appeared(GIVEN_UP),
    "FalDeletionsFailing": Case(
        {"image2model_fal_deletions_failing": steady(2)}, {"image2model_fal_deletions_failing": steady(0)}
    ),
    "FalAdminKeyRefused": Case(
        {"image2model_fal_admin_key_refused": steady(1)}, {"image2model_fal_admin_key_refused": steady(0)}
    ),
    "SubmissionsUnconfirmed": Case(
        {"image2model_submissions_unconfirmed_total": growing(1)},
        {"image2model_submissions_unconfirmed_total": steady(9)},
    ),
    "CostMismatch": Case(
        {f"image2model_cost_mismatch_total{{{MODEL}}}": f"0x{HOUR - 5} 1x10"},
        {f"image2model_cost_mismatch_total{{{MODEL}}}": steady(3)},
        {"model": "fal-ai/trellis"},
    ),
    "BudgetOverrun": once("image2model_budget_overrun_usd_total"),
    "BudgetEmpty": appeared('image2model_refusals_total{code="budget_exceeded"}'),
    "UnexpectedErrors": appeared('image2model_unexpected_errors_total{task="http"}', task="http"),
    "ProcessDied": appeared(
        'image2model_process_deaths_total{process="worker",signal="SIGKILL"}',
        process="worker",
        signal="SIGKILL",
    ),
    "DecoderDied": once("image2model_decoder_deaths_total"),
    "WorkerLost": once("image2model_workers_lost_total"),
    "ServerErrors": Case(
        {'http_requests_total{status="500"}': growing(1), 'http_requests_total{status="200"}': growing(9)},
        {'http_requests_total{status="404"}': growing(1), 'http_requests_total{status="200"}': growing(9)},
    ),
    "EventsLate": Case(lag(within_a_second=1), lag(within_a_second=9)),
    "PriceDrift": Case(
        {f"image2model_price_drift_ratio{{{MODEL}}}": steady(-0.2)},
        {f"image2model_price_drift_ratio{{{MODEL}}}": steady(0.05)},
        {"model": "fal-ai/trellis"},
    ),
    "FalBalanceLow": Case(
        {"image2model_fal_balance_pictures": steady(40)}, {"image2model_fal_balance_pictures": steady(400)}
    ),
    # the clock of rule tests begins at 0
    "CatalogueStale": Case(
        {"image2model_catalogue_updated_timestamp_seconds": f"1x{2 * HOUR}"},
        {"image2model_catalogue_updated_timestamp_seconds": f"1+60x{2 * HOUR}"},
    ),
}


def rules() -> dict[str, dict[str, Any]]:
    """The alerting rules by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_alert_has_a_case_and_no_other() -> None:
    assert CASES.keys() == rules().keys()


@pytest.mark.long
@pytest.mark.parametrize("alert", CASES)
def test_alert_fires_in_its_state_and_not_beside_it(tmp_path: Path, alert: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    case, severity = CASES[alert], rules()[alert]["labels"]["severity"]
    found = f'ALERTS{{alertname="{alert}",alertstate="firing"'
    labels = {**case.labels, "severity": severity}
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {"expr": f"{found}}}", "eval_time": "62m", "exp_samples": expected},
            ],
        }
        for series, expected in ((case.bad, [{"labels": f"{found}{more}}}", "value": 1}]), (case.good, []))
    ]
    file = tmp_path / "case.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    ended = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("alert", CASES)
def test_alert_says_what_is_wrong_what_to_do_and_where_more_is_written(alert: str) -> None:
    rule = rules()[alert]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "action", "runbook"}
    assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{alert.lower()}"


def test_runbook_has_a_section_for_every_alert_and_no_other() -> None:
    text = (ROOT / RUNBOOK).read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == list(
        dict.fromkeys(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    )
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == rules().keys()
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        name, _, words = section.partition("\n")
        assert len(words.split()) > 10, name
