"""The query by which the workers are scaled, run by Prometheus' own tool."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from image2model.docs.pages import LABELS, all_metrics
from tests.support.kubernetes import base, of_kind

API_1, API_2 = 'instance="10.0.0.1:8000"', 'instance="10.0.0.2:8000"'
NOW_S = 600


def series(name: str, value: int, instance: str, more: str = "") -> dict[str, str]:
    """Constant until now."""
    return {"series": f"image2model_{name}{{{instance}{more}}}", "values": f"{value}x{NOW_S // 15}"}


def work(instance: str = API_1, *, due: int, age_s: int = 5, **states: int) -> list[dict[str, str]]:
    """What a replica of the API reports."""
    return [
        *(series("unfinished_images", n, instance, f',state="{state}"') for state, n in states.items()),
        series("webhooks_due", due, instance),
        series("work_read_timestamp_seconds", NOW_S - age_s, instance),
    ]


FLEET = {"waiting": 700, "fetching": 0, "preparing": 20, "at_fal": 90, "storing": 10}


@pytest.mark.parametrize(
    ("reported", "value"),
    [
        pytest.param(
            work(API_1, due=3, **FLEET) + work(API_2, due=3, **FLEET), 823, id="replicas say the same"
        ),
        pytest.param(work(due=0, waiting=0, at_fal=5), 5, id="nothing waits, FAL works"),
        pytest.param(work(due=2, waiting=0, at_fal=0), 2, id="webhooks are due"),
        pytest.param(work(due=0, waiting=0, at_fal=0), 0, id="nothing is unfinished"),
        pytest.param(work(due=0, waiting=0, awaiting_confirmation=9), 0, id="people are waited for"),
        pytest.param([], None, id="no metric is no value, and not 0"),
        pytest.param(work(due=0, waiting=9)[:1], None, id="a part of the metric is no value"),
        pytest.param(
            work(due=0, waiting=0, age_s=300), None, id="the store is away, and what was known is old"
        ),
        pytest.param(
            work(API_1, due=0, waiting=7) + work(API_2, due=0, waiting=7, age_s=300),
            7,
            id="one replica does not reach the store",
        ),
    ],
)
def test_query_counts_all_that_a_worker_has_to_do(
    reported: list[dict[str, str]], value: int | None, tmp_path: Path
) -> None:
    (trigger,) = of_kind(base(), "ScaledObject")["worker"]["spec"]["triggers"]
    query = trigger["metadata"]["query"]
    expected: list[dict[str, Any]] = [] if value is None else [{"labels": "{}", "value": value}]
    case: dict[str, Any] = {"interval": "15s", "input_series": reported}
    case["promql_expr_test"] = [{"expr": query, "eval_time": f"{NOW_S}s", "exp_samples": expected}]
    file = tmp_path / "query.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [case]}))
    promtool = shutil.which("promtool")
    assert promtool, "the tests need promtool: apt-get install prometheus"
    done = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_of_the_query_exist() -> None:
    (trigger,) = of_kind(base(), "ScaledObject")["worker"]["spec"]["triggers"]
    named = set(re.findall(r"image2model_\w+", trigger["metadata"]["query"]))
    assert len(named) == 3
    assert named <= {name for name, *_ in all_metrics()}
    assert "awaiting_confirmation" in dict(LABELS)["state"]
