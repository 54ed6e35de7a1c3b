"""Schemathesis finds nothing: no 5xx, and no answer that the document does not describe.

A few examples of each call; the long run (`make fuzz`) sets `FUZZ_SECONDS` and goes on for so long.
"""

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from image2model.api.reference.shared import IMAGE, JOB
from tests.reference.conftest import Running
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.schemathesis_run import run_schemathesis, with_real_ids
from tests.support.sketches import picture
from tests.support.wait import wait_until

SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 50 if SECONDS else 4
PHASES = "examples,coverage,fuzzing" if SECONDS else "examples,fuzzing"


def ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": CONTENT_TYPE})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        document: dict[str, Any] = json.load(answer)
        return document


def finished_job(url: str) -> tuple[str, str]:
    """Ids of a job that has ended and of its image; made once, the others reuse its result."""
    body = Body()
    body.file("chair.png", picture(fmt="PNG", seed=3))
    job = ask(f"{url}/api/v1/upload/batch", bytes(body))
    status = f"{url}{job['links']['self']}"
    wait_until(lambda: ask(status)["status"] == "succeeded", timeout=30)
    return job["job_id"], job["images"][0]["image_id"]


@pytest.mark.timeout(120 + 4 * SECONDS)
def test_no_answer_is_a_5xx_or_outside_its_schema(running: Running, tmp_path: Path) -> None:
    document = ask(f"{running.url}/api/v1/openapi.json")
    real = with_real_ids(document, (JOB, IMAGE), lambda: finished_job(running.url))
    done = run_schemathesis(
        running.url, real, tmp_path, max_examples=EXAMPLES, phases=PHASES, max_time=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
