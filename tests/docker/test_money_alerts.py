"""The alerts on money fire at the first event, and stay silent without one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "docker/prometheus/alerts.yml"
MISMATCH = 'image2model_cost_mismatch_total{model="m"}'
OVERRUN = "image2model_budget_overrun_usd_total"


@pytest.mark.parametrize(
    ("alert", "series", "values", "labels"),
    [
        ("CostMismatch", MISMATCH, "0x10 1x10", 'model="m",'),
        ("CostMismatch", MISMATCH, "3x20", None),
        ("BudgetOverrun", OVERRUN, "0x10 0.3x10", ""),
        ("BudgetOverrun", OVERRUN, "0.3x20", None),
    ],
)
def test_alert(tmp_path: Path, alert: str, series: str, values: str, labels: str | None) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"'
    expected = [] if labels is None else [{"labels": f'{firing},{labels}severity="warning"}}', "value": 1}]
    case = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": [{"expr": firing + "}", "eval_time": "20m", "exp_samples": expected}],
    }
    file = tmp_path / "case.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}))
    ended = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
