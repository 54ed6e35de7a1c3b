"""The dashboards' panels as Grafana asks for them.

Who uses it: the tests of the dashboards, and the autoscaled day.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "docker/grafana/dashboards"
FILES: Final = sorted(FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    dashboard: str
    panel: str
    expression: str
    legend: str

    def of_range(self, seconds: int, rate_seconds: int | None = None) -> str:
        """The expression as Grafana sends it, for a range of so many seconds and all values of variables.

        Rates are over `rate_seconds`, or else over the whole range too.
        """
        rate = f"{rate_seconds or seconds}s"
        text = self.expression.replace("$__range", f"{seconds}s").replace("$__rate_interval", rate)
        return text.replace("$model", ".*")

    def name_of(self, labels: dict[str, str]) -> str:
        """What the panel calls a series."""
        if self.legend == "__auto":
            return ""
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), self.legend)


def documents() -> dict[str, dict[str, Any]]:
    """The dashboards by the name of their file."""
    return {path.stem: json.loads(path.read_text()) for path in FILES}


def queries(kind: str) -> Iterator[Query]:
    """All queries of one kind of data source."""
    for name, document in documents().items():
        for panel in document["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    expression = target.get("expr") or target["query"]
                    yield Query(name, panel["title"], expression, target.get("legendFormat", ""))
