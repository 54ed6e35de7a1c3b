"""ARQ 0.28's key layout and our serialisation of its jobs: the only module that knows either.

A job is one function and one id, as MessagePack `[function, id, enqueued_ms]`. ARQ's default, pickle, would
let anyone who can write to Redis run code here. The score of a task in its queue is also its class: the
constants below, in the order in which tasks are picked. From data version 6 on, images have no key of JOB and
IN_PROGRESS (`has_arq_keys` in `queue.lua`).
Source: `arq/constants.py`, `arq/worker.py` and `arq/jobs.py` of arq 0.28. ARQ itself is not imported: every
process that calls a script needs these names, and only a worker needs ARQ.
"""

from typing import Any, Final

import msgspec

from image2model.store.keys import TAG, StoreKey

JOB: Final = "task:"
IN_PROGRESS: Final = "in-progress:"
RETRY: Final = "retry:"
QUEUE: Final = "queue:"
PLAIN: Final = {
    JOB: "arq:job:",
    IN_PROGRESS: "arq:in-progress:",
    RETRY: "arq:retry:",
    QUEUE: "arq:queue:",
}
"""What names begin with behind the tag, and without a tag: ARQ's own names, which nothing of ARQ that runs
here reads."""

FOLLOW_AT: Final = -10_000_000_000_000
"""Scores from here to 0 are this plus a time in ms: an image at FAL that is looked up again at that time."""
FOLLOW_NOW: Final = 1
"""Score of an image whose FAL request has to be followed again. ARQ never starts score 0."""
START_NEXT: Final = 2
"""Score of an image that starts before all others, such as one that lost its worker before its POST."""
NORMAL_PRIORITY: Final = 10
"""Scores from here up are start tags of the fair order, those from LOW_PRIORITY up of low-priority images."""
LOW_PRIORITY: Final = 100_000_000_000
DUE_AT: Final = 1_000_000_000_000
"""Scores from here up are times in ms: a task that waits until then."""
AWAITING_REUSE: Final = 8_000_000_000_000_000
"""Score of an image that waits for the run of the same picture. No pick sees it until that run has ended."""
AWAITING_ENDPOINT: Final = 8_500_000_000_000_000
"""Score of an image that waits for FAL's endpoint. Its place in the fair order is in the endpoint's set."""
AWAITING_WINDOW: Final = 8_700_000_000_000_000
"""Score of an image that waits until FAL runs fewer of its endpoint. Its place is in the endpoint's set."""
AWAITING_CONFIRMATION: Final = 8_800_000_000_000_000
"""Score of an image whose prepared pictures a client has to confirm first."""
AWAITING_FETCH: Final = 8_900_000_000_000_000
"""Score of an image whose pictures are being fetched. Its place in the fair order is in its hash."""
RUNNING: Final = 9_000_000_000_000_000
"""Score of a running task, which no pick sees."""


class ArqKey(StoreKey):
    """One of ARQ's keys."""

    __slots__ = ()

    @property
    def plain(self) -> str:
        """The name that ARQ gives it."""
        kind, _, rest = self.removeprefix(TAG).partition(":")
        return PLAIN[kind + ":"] + rest


def queue_key(queue: str) -> ArqKey:
    """The sorted set of a queue's tasks."""
    return ArqKey(TAG + QUEUE + queue)


def task_keys(task_id: str) -> tuple[ArqKey, ...]:
    """All of a task's keys, of which some may exist."""
    return tuple(ArqKey(TAG + kind + task_id) for kind in (JOB, IN_PROGRESS, RETRY))


def job_key(task_id: str) -> ArqKey:
    """The function and the id of a task."""
    return ArqKey(TAG + JOB + task_id)


def in_progress_key(task_id: str) -> ArqKey:
    """The token of the run that has claimed a task."""
    return ArqKey(TAG + IN_PROGRESS + task_id)


_job: Final = msgspec.msgpack.Decoder(tuple[str, str, int])


def serialize(job: dict[str, Any]) -> bytes:
    """ARQ's `job_serializer`. Refuses anything but one positional id."""
    (task_id,) = job["a"]
    return msgspec.msgpack.encode([job["f"], task_id, job["et"]])


def deserialize(data: bytes) -> dict[str, Any]:
    """ARQ's `job_deserializer`. Raises msgspec.DecodeError for anything that we did not write."""
    function, task_id, enqueued_ms = _job.decode(data)
    return {"t": None, "f": function, "a": (task_id,), "k": {}, "et": enqueued_ms}
