"""Schemathesis as a program of its own against a service whose document it reads from a file.

Who calls it: the reference's tests. The ids of the document's examples become those of real jobs, a job
of its own for each address, so that what is called exists.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)


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
