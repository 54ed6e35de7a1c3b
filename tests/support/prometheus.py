"""The real Prometheus with the shipped configuration, on loopback, scraping once a second.

Who calls it: tests of the dashboards, and the autoscaled day. It starts as in its container, by
docker/prometheus/start.sh; only addresses and the interval differ.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.support.ports import free_port
from tests.support.wait import wait_until

SHIPPED: Final = Path(__file__).parents[2] / "docker/prometheus"


class Prometheus:
    """A running one."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series, as of now."""
        answer = self._http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return [(one["metric"], float(one["value"][1])) for one in answer.json()["data"]["result"]]

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """The labels of each series, and its values, with their times, between two moments."""
        params: dict[str, str | float] = {"query": expression, "start": start, "end": end, "step": step}
        answer = self._http.get("/api/v1/query_range", params=params)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"]])
            for one in answer.json()["data"]["result"]
        ]

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def prometheus_of(
    folder: Path, targets: Mapping[str, Sequence[str]], token: str = "", interval: str = "1s"
) -> Iterator[Prometheus]:
    """It scrapes these targets for the jobs of the shipped configuration, and evaluates the shipped rules.

    `interval`: of both.
    """
    assert shutil.which("prometheus"), "the tests need prometheus: apt-get install prometheus"
    config, port = folder / "prometheus.yml", free_port("127.0.0.1")
    config.write_text(yaml.safe_dump(_configuration(folder, targets, interval)))
    command = [
        "sh",
        str(SHIPPED / "start.sh"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
    ]
    environment = {"PATH": "/usr/bin:/bin", "I2M_RUN_DIR": str(folder), "I2M_METRICS_TOKEN": token}
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], env=environment, stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            prometheus = Prometheus(client)
            wait_until(prometheus.is_ready, timeout=60)
            yield prometheus
    finally:
        process.terminate()
        process.wait(60)


def _configuration(folder: Path, targets: Mapping[str, Sequence[str]], interval: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    document["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    document["rule_files"] = [str(SHIPPED / name) for name in document["rule_files"]]
    jobs = []
    for job in document["scrape_configs"]:
        if job["job_name"] in targets:
            job.pop("dns_sd_configs", None)
            job["static_configs"] = [{"targets": list(targets[job["job_name"]])}]
            if "authorization" in job:
                job["authorization"] = {"credentials_file": str(folder / "metrics-token")}
            jobs.append(job)
    document["scrape_configs"] = jobs
    return document
