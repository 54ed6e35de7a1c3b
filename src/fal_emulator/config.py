"""What the emulator is told at start: latency, concurrency, faults, sizes of its models, memory.

Read by the application and the command line; the parts that may change at run time are copied into the
state when the application is created, so one `Config` may serve several applications.
"""

import re

import msgspec

from fal_emulator.fault_rules import FaultRule
from fal_emulator.model_files import ModelFile

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds out of `250ms`, `3s`, `1.5m`, `1h` or a bare number of seconds.

    Raises ValueError, with the accepted forms, for anything else.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 250ms, 3s, 2m or a number of seconds")
    return float(match[1]) * _UNIT_SECONDS[match[2] or "s"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`latency`, `lookup_lag`, `slow_transfer`, `result_ttl`, `upload_ttl`, `ping_interval` in seconds;
    `memory` in bytes of the disk.

    `concurrency` is how many generations one account runs at once, `cold_start` how long the first request of
    an idle endpoint waits for a runner. `concurrency_headers`: tell the limit with each accepted submit.
    `grid` is the number of cells on the long side of a relief, `texture` the longest side of its texture in
    pixels. `seed` makes fault rates repeat, `schema_seed` settles which enumerations
    are of strings (None: another draw at each start). `elsewhere` is host and port of the second address, at
    which `preview_elsewhere` puts its files; an empty host stands for the one that the client has asked.
    `model_files` are results in place of made models.
    """

    latency: float = 20.0
    concurrency: int = 40
    cold_start: float = 0.0
    concurrency_headers: bool = False
    faults: tuple[FaultRule, ...] = ()
    seed: int | None = None
    schema_seed: int | None = None
    grid: int = 32
    texture: int = 256
    memory: int = 512 * 1024 * 1024
    lookup_lag: float = 5.0
    slow_transfer: float = 10.0
    elsewhere: tuple[str, int] | None = None
    model_files: tuple[ModelFile, ...] = ()
    result_ttl: float = 3600.0
    upload_ttl: float = 3600.0
    ping_interval: float = 15.0
    webhook_attempts: int = 8
    webhook_backoff: float = 0.5
