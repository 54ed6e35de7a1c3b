"""Whether a write that money hangs on is on a second server too, before it counts as done.

Who calls it: the worker, around the mark before a POST and the id after it. Replication is asynchronous: a
failover right after either would send a picture twice, or lose a request that is paid for. Without replicas
it costs one question every few seconds.
"""

import time
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.store.connection import StoreOutage, command
from image2model.store.run_id import last_run_id
from image2model.store.scripts import Script

_log = structlog.get_logger("store.replicas")

_KNOWN_S: Final = 5.0
_WAIT_MS: Final = 1500
_WEAK_S: Final = 60.0
_ON_DISK: Final = ("WAITAOF", 1, 1, _WAIT_MS)
_IN_MEMORY: Final = ("WAIT", 1, _WAIT_MS)


class NotCopied(StoreOutage):
    """The write is stored, but no replica has confirmed it in time."""


class Replicas:
    """Belongs to one event loop. Replicas that keep nothing on disk confirm from their memory instead."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._exist = False
        self._known_until = 0.0
        self._weak_until = 0.0
        self._of_life = ""

    async def run(self, script: Script, *args: object) -> Any:
        """The script's reply, once a replica has what it wrote. Raises NotCopied, StoreOutage."""
        if not await self._are_there():
            done = await script.packed(self._redis, *args)
            if last_run_id() == self._of_life:
                return done
            self._known_until = 0.0  # another server has answered, which may have replicas
            if not await self._are_there():
                return done
        weak = time.monotonic() < self._weak_until
        done, confirmed = await script.followed_by(self._redis, _IN_MEMORY if weak else _ON_DISK, *args)
        if _copies(confirmed) < 1:
            self._note_failure(weak)
            raise NotCopied("no replica has confirmed the write")
        return done

    def _note_failure(self, weak: bool) -> None:
        self._known_until = 0.0  # it may be gone
        if not weak:
            self._weak_until = time.monotonic() + _WEAK_S
        _log.warning(
            "replica_not_confirming",
            asked="memory" if weak else "disk",
            advice="appendonly yes on replicas",
        )

    async def _are_there(self) -> bool:
        now = time.monotonic()
        if now >= self._known_until:
            about: dict[str, Any] = await command(self._redis, "INFO", "replication")
            self._exist = int(about.get("connected_slaves", 0)) > 0
            self._known_until = now + _KNOWN_S
            self._of_life = last_run_id()
        return self._exist


def _copies(confirmed: object) -> int:
    """Of WAIT's number, or WAITAOF's pair of ours and theirs; an error (no append-only file here) is none."""
    if isinstance(confirmed, list):
        return int(confirmed[1])
    return confirmed if isinstance(confirmed, int) else 0


_WANTED: Final = {
    "appendfsync": ("always", "a crash of the store can lose the id of a request that is paid for"),
    "maxmemory-policy": ("noeviction", "the store may drop jobs when its memory is full"),
}


async def warnings(redis: Redis) -> list[str]:
    """One sentence for each setting that endangers a job; empty where all is well."""
    try:
        reply: list[bytes] = await command(
            redis, "CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy"
        )
    except ResponseError as error:  # a hosted server may not tell
        return [
            f"The store does not tell its settings ({error}): make sure of appendfsync always and noeviction."
        ]
    found = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    if found.get("appendonly") != "yes":
        found["appendfsync"] = "never (appendonly no)"
    return [
        f"The store has {name} {found.get(name)}, not {wanted}: {danger}."
        for name, (wanted, danger) in _WANTED.items()
        if found.get(name) != wanted
    ]
