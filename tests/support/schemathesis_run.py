"""Schemathesis as a program of its own against a service whose document it reads from a file.

Who calls it: the reference's tests. The ids of the document's examples become those of real jobs, a job
of its own for each address, so that what is called exists.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)

_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})


@dataclass(frozen=True)
class Exchange:
    """One call that was made, and the status of its answer."""

    method: str
    path: str
    status: int


@dataclass(frozen=True)
class Run:
    """What a run said, and every call it made. `good`: it found nothing."""

    good: bool
    said: str
    exchanges: tuple[Exchange, ...]

    def faults(self, document: dict[str, Any], leave_out: tuple[str, ...] = ()) -> list[str]:
        """Why the run proves nothing, or what it found: empty where it is a proof.

        A server that died, a route that no call went to, and calls that had no answer are faults.
        """
        faults = [] if self.good else [self.said]
        if unanswered := [call for call in self.exchanges if not 100 <= call.status < 600]:
            faults.append(f"{len(unanswered)} calls had no answer, such as {unanswered[0]}")
        if uncalled := _uncalled(document, self.exchanges, leave_out):
            faults.append(f"no call went to {', '.join(uncalled)}")
        return faults

    def refused(self, own: re.Pattern[str]) -> list[Exchange]:
        """Calls that failed for want of credentials, but for routes (`own`) that have some of their own."""
        return [call for call in self.exchanges if call.status in {401, 403} and not own.fullmatch(call.path)]


def _uncalled(document: dict[str, Any], calls: Iterable[Exchange], leave_out: tuple[str, ...]) -> list[str]:
    """Operations of the document that no call went to."""
    made = {(call.method, call.path) for call in calls}
    missing = []
    for path, methods in document["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]*", path))
        missing += [
            f"{method.upper()} {path}"
            for method in methods
            if method in _METHODS
            and path not in leave_out
            and not any(called == method.upper() and pattern.fullmatch(at) for called, at in made)
        ]
    return missing


def with_real_ids(
    document: dict[str, Any], examples: tuple[str, ...], real: Callable[[], tuple[str, ...]]
) -> dict[str, Any]:
    """The document with `examples` (ids of a job, of an image, ...) replaced, anew for each address."""
    paths = {}
    for path, methods in document["paths"].items():
        text = json.dumps(methods)
        if any(example in text for example in examples):
            for old, new in zip(examples, real(), strict=True):
                text = text.replace(old, new)
        paths[path] = json.loads(text)
    return {**document, "paths": paths}


def run_schemathesis(
    url: str,
    document: dict[str, Any],
    folder: Path,
    *,
    max_examples: int,
    phases: str,
    max_time: int,
    headers: Mapping[str, str] | None = None,
    leave_out: tuple[str, ...] = (),
) -> Run:
    """One run to its end, of `max_time` seconds (0: as long as its examples take).

    `folder` takes the document, and whatever the program writes. `headers` go with each call; `leave_out`
    are paths that it does not call.
    """
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url),
        *("--checks", CHECKS, "--phases", phases),
        *("--max-examples", str(max_examples), "--request-timeout", "20"),
        *("--suppress-health-check", "all", "--generation-database", "none"),
        *("--report", "har", "--report-har-path", "calls.har"),
        *("--continue-on-failure", "--no-color"),
    ]
    for path in leave_out:
        command += ["--exclude-path", path]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if max_time:
        command += ["--max-time", str(max_time)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100 + 3 * max_time, check=False
    )
    said = done.stdout + done.stderr
    return Run(done.returncode == 0, said, _exchanges(folder / "calls.har", said))


def _exchanges(report: Path, said: str) -> tuple[Exchange, ...]:
    assert report.exists(), said
    entries = json.loads(report.read_bytes())["log"]["entries"]
    return tuple(
        Exchange(
            entry["request"]["method"], urlsplit(entry["request"]["url"]).path, entry["response"]["status"]
        )
        for entry in entries
    )
