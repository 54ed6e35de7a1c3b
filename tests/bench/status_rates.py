"""Rows: `GET /status` of a 25-image job with keys on, and its 304, beside Starlette with one Redis GET.

Who calls it: the bench; `tests.bench.status` measures.
"""

import uvloop

from tests.bench import status
from tests.bench.row import Row, ratio_at_least
from tests.bench.world import durable_store


def run(quick: bool) -> list[Row]:
    """Two rows: the document, and `304 Not Modified`."""
    with durable_store() as (store, folder):
        found = uvloop.run(status.measure(store.url, folder / "files", rounds=2 if quick else status.ROUNDS))
    return [
        ratio_at_least(
            "GET /status, 25 images, keys on, 50 connections", found["status"], found["get"], 1.3, "req/s"
        ),
        ratio_at_least("the same, 304", found["status_304"], found["get_304"], 1.3, "req/s"),
    ]
