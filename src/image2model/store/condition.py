"""The condition of the store, as one name and one sentence: does it answer, and does it take writes?

Only this module concludes from an error of the store what state the server is in.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from image2model.store.durability import NotCopied
from image2model.store.naming import NamesChanging
from image2model.store.scripts import Script


class StoreCondition(StrEnum):
    """`writable` is the normal one."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    OUT_OF_MEMORY = "out_of_memory"
    DISK = "disk"
    NO_REPLICAS = "no_replicas"
    LOADING = "loading"
    RENAMING = "renaming"
    REFUSED = "refused"
    AWAY = "away"


REFUSES_WRITES: Final = frozenset(
    {
        StoreCondition.READ_ONLY,
        StoreCondition.OUT_OF_MEMORY,
        StoreCondition.DISK,
        StoreCondition.NO_REPLICAS,
    }
)
"""The server replied that it takes no writes: the one that was sent changed nothing."""

_SENTENCES: Final = {
    StoreCondition.WRITABLE: "the store answers and takes writes",
    StoreCondition.READ_ONLY: "the store is read-only: it is a replica, or a failover is under way",
    StoreCondition.OUT_OF_MEMORY: "the store is out of memory (maxmemory) and takes no writes",
    StoreCondition.DISK: "the store cannot write to its disk and takes no writes",
    StoreCondition.NO_REPLICAS: "the store has too few replicas and takes no writes",
    StoreCondition.LOADING: "the store is loading its data",
    StoreCondition.RENAMING: "the names of the store's keys are being changed",
    StoreCondition.REFUSED: "the store refuses our commands",
    StoreCondition.AWAY: "the store does not answer",
}
_ADVICE: Final = {
    StoreCondition.READ_ONLY: "wait for the failover; else point I2M_REDIS_URL to the primary, or promote it",
    StoreCondition.OUT_OF_MEMORY: "raise its maxmemory, or shorten I2M_JOB_TTL",
    StoreCondition.DISK: "free space on the store's disk, or make its folder writable; see its log",
    StoreCondition.NO_REPLICAS: "start its replicas, or lower min-replicas-to-write",
    StoreCondition.LOADING: "wait until it has loaded",
    StoreCondition.RENAMING: "run `image2model upgrade --tags` to its end",
    StoreCondition.REFUSED: "check its log, and the permissions of its user",
    StoreCondition.AWAY: "start it, or correct I2M_REDIS_URL",
}
_BY_CODE: Final = {
    "OOM": StoreCondition.OUT_OF_MEMORY,
    "READONLY": StoreCondition.READ_ONLY,
    "MASTERDOWN": StoreCondition.READ_ONLY,
    "MISCONF": StoreCondition.DISK,
    "NOREPLICAS": StoreCondition.NO_REPLICAS,
    "LOADING": StoreCondition.LOADING,
    "BUSY": StoreCondition.AWAY,
    "CLUSTERDOWN": StoreCondition.AWAY,
    "NOAUTH": StoreCondition.REFUSED,
    "NOPERM": StoreCondition.REFUSED,
}
_CODE: Final = re.compile(r"(?:^| -)(" + "|".join(_BY_CODE) + r")\b")
"""At the start of a reply; servers before 7 put the code of a script's error behind a dash within it."""
_DEMOTED: Final = "previous master is now a slave"
"""redis-py's message for a `READONLY` from a server that a Sentinel had named as the primary."""
_PROBE: Final = Script("store/try_write")


def condition_of(error: BaseException) -> StoreCondition | None:
    """The condition that an error shows; None if it shows nothing, such as a fault in a script."""
    found = [condition for one in _chain(error) if (condition := _of_one(one)) is not None]
    return next((one for one in found if one is not StoreCondition.AWAY), found[0] if found else None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _of_one(error: BaseException) -> StoreCondition | None:
    if isinstance(error, OutOfMemoryError):
        return StoreCondition.OUT_OF_MEMORY
    if isinstance(error, ReadOnlyError):
        return StoreCondition.READ_ONLY
    if isinstance(error, BusyLoadingError):
        return StoreCondition.LOADING
    if isinstance(error, NamesChanging):
        return StoreCondition.RENAMING
    if isinstance(error, NotCopied):
        return StoreCondition.NO_REPLICAS
    if isinstance(error, ResponseError) and (code := _CODE.search(str(error))):
        return _BY_CODE[code[1]]
    if isinstance(error, RedisConnectionError | RedisTimeoutError | TimeoutError):
        return StoreCondition.READ_ONLY if _DEMOTED in str(error) else StoreCondition.AWAY
    return None


def describe(condition: StoreCondition) -> str:
    """One sentence without a full stop, the same everywhere."""
    return _SENTENCES[condition]


def advice(condition: StoreCondition) -> str:
    """What an operator should do first; empty if all is well."""
    return _ADVICE.get(condition, "")


async def probe(redis: Redis) -> StoreCondition:
    """Try a small write. Never raises redis.RedisError. The caller sets a timeout for a hanging store."""
    try:
        await _PROBE.packed(redis)
    except RedisError as error:  # an error that is no outage, such as a missing permission, is a refusal too
        return condition_of(error) or StoreCondition.REFUSED
    return StoreCondition.WRITABLE
