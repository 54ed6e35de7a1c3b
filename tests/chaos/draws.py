"""What goes wrong, and when: a sequence that depends on the seed alone.

Who calls it: the driver, four times a second. A draw names a slot by a fraction, so the same seed gives
the same sequence whatever the state of the world; a draw whose slot is down just then is skipped.
"""

from collections.abc import Iterator
from enum import StrEnum
from random import Random

import msgspec


class Kind(StrEnum):
    """Faults of our own processes and of the store; FAL's are named as the emulator names them."""

    KILL_WORKER = "kill_worker"
    STOP_WORKER = "stop_worker"
    TERM_WORKER = "term_worker"
    KILL_API = "kill_api"
    STOP_API = "stop_api"
    TERM_API = "term_api"
    TERM_STORE = "term_store"
    KILL_STORE = "kill_store"


KILLS = frozenset({Kind.KILL_WORKER, Kind.KILL_API, Kind.KILL_STORE})
LOCKED = "locked"
BUSY = "busy"
"""Loops that use every core, for some seconds."""

_WEIGHTS: dict[str, int] = {
    Kind.KILL_WORKER: 26,
    Kind.STOP_WORKER: 8,
    Kind.TERM_WORKER: 7,
    Kind.KILL_API: 8,
    Kind.STOP_API: 2,
    Kind.TERM_API: 3,
    Kind.TERM_STORE: 1,
    Kind.KILL_STORE: 2,
    BUSY: 2,
    "drop_after_accept": 6,
    "hang": 1,
    "malformed": 2,
    "429": 5,
    "nginx_502": 3,
    "nginx_503": 1,
    LOCKED: 1,
    "500": 5,
    "runner_503": 4,
    "504": 2,
    "422": 2,
    "requeue": 5,
    "result_expired": 2,
    "model_truncated": 4,
    "model_missing": 1,
    "null_mesh": 3,
    "lookup_lag": 3,
    "lookup_blind": 3,
    "422_safety": 1,
    "status_failed": 2,
    "status_cancelled": 1,
    "result_error": 1,
    "status_404": 2,
    "result_404": 2,
    "result_html": 1,
    "result_list": 1,
    "points_only": 1,
    "no_bounds": 1,
    "bytes_behind": 1,
    "unknown_format": 1,
    "preview_missing": 2,
    "preview_elsewhere": 1,
    "file_slow": 1,
    "file_empty": 1,
    "file_html": 1,
    "file_redirect": 1,
    "endpoint_403": 1,
    "endpoint_down": 1,
    "upload_token_500": 2,
}
"""Not drawn: `file_stuck`. A model whose host sends no byte is asked for during half an hour, by design."""

KINDS = frozenset(map(str, _WEIGHTS))


class Draw(msgspec.Struct, frozen=True):
    """One fault. `where` and `much` are fractions from 0 to 1: which slot, and how long or how many."""

    kind: str
    where: float
    much: float

    @property
    def count(self) -> int:
        """How many requests meet it, for FAL's faults."""
        return 1 + int(self.much * 3)


def draws(seed: int, *, without: frozenset[str] = frozenset()) -> Iterator[Draw]:
    """The endless sequence of a seed."""
    random = Random(seed)
    weights = {str(kind): weight for kind, weight in _WEIGHTS.items() if kind not in without}
    kinds, shares = list(weights), list(weights.values())
    while True:
        (kind,) = random.choices(kinds, shares)
        yield Draw(kind, random.random(), random.random())
