"""Schemathesis as a program of its own against a service whose document it reads from a file.

Who calls it: the reference's tests. The ids of the document's examples become those of real jobs, a job
of its own for each address, so that what is called exists.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)


def with_real_ids(
    document: dict[str, Any], example: tuple[str, str], real: Callable[[], tuple[str, str]]
) -> dict[str, Any]:
    """The document with `example` (a job's and an image's id) replaced, anew for each address."""
    paths = {}
    for path, methods in document["paths"].items():
        text = json.dumps(methods)
        for old, new in zip(example, real(), strict=True):
            text = text.replace(old, new)
        paths[path] = json.loads(text)
    return {**document, "paths": paths}


def run_schemathesis(
    url: str, document: dict[str, Any], folder: Path, *, max_examples: int, phases: str, max_time: int
) -> "subprocess.CompletedProcess[str]":
    """One run to its end, of `max_time` seconds (0: as long as its examples take).

    `folder` takes the document, and whatever the program writes.
    """
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url),
        *("--checks", CHECKS, "--exclude-path", "/api/v1/events", "--phases", phases),
        *("--max-examples", str(max_examples), "--request-timeout", "20"),
        *("--suppress-health-check", "all", "--generation-database", "none"),
        *("--continue-on-failure", "--no-color"),
    ]
    if max_time:
        command += ["--max-time", str(max_time)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100 + 3 * max_time, check=False
    )
