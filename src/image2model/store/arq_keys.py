"""ARQ 0.28's key layout and our serialisation of its jobs: the only module that knows either.

A job is one function and one id, as MessagePack `[function, id, enqueued_ms]`: whoever can write to
Redis must not be able to run code here, which ARQ's default, pickle, would allow.
Source: `arq/constants.py`, `arq/worker.py` and `arq/jobs.py` of arq 0.28.
"""

from typing import Any, Final

import msgspec
from arq import constants

JOB: Final = constants.job_key_prefix
IN_PROGRESS: Final = constants.in_progress_key_prefix
RETRY: Final = constants.retry_key_prefix
QUEUE: Final = "arq:queue:"

FOLLOW_AT: Final = -10_000_000_000_000
"""Scores from here to 0 are this plus a time in ms: an image at FAL that is looked at again then."""
FRONT_RUNNING: Final = 1
"""Score of an image whose FAL request only has to be followed again. ARQ never starts score 0."""
FRONT: Final = 2
"""Score of an image that lost its worker before its POST."""
FIRST_TURN: Final = 10
"""Scores from here up are turns (fair virtual time), those above LOW_TURN low-priority turns."""
LOW_TURN: Final = 100_000_000_000
CLOCK: Final = 1_000_000_000_000
"""Scores from here up are times in ms: a task that waits until then."""
PARKED: Final = 8_000_000_000_000_000
"""Score of an image that waits for the same picture's run: nobody picks it until that has ended."""
AT_ENDPOINT: Final = 8_500_000_000_000_000
"""Score of an image that waits for FAL's endpoint: its own turn stands in the endpoint's sorted set."""
RUNNING: Final = 9_000_000_000_000_000
"""Score of a running task: out of every poll's sight."""


def queue_key(queue: str) -> str:
    """The sorted set that ARQ polls."""
    return QUEUE + queue


_job: Final = msgspec.msgpack.Decoder(tuple[str, str, int])


def serialize(job: dict[str, Any]) -> bytes:
    """ARQ's `job_serializer`. Refuses anything but one positional id."""
    (task_id,) = job["a"]
    return msgspec.msgpack.encode([job["f"], task_id, job["et"]])


def deserialize(data: bytes) -> dict[str, Any]:
    """ARQ's `job_deserializer`. Raises msgspec.DecodeError on anything that we did not write."""
    function, task_id, enqueued_ms = _job.decode(data)
    return {"t": None, "f": function, "a": (task_id,), "k": {}, "et": enqueued_ms}
