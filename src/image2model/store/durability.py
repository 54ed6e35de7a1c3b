"""Waits until a replica has a write that money depends on, before it counts as done.

These are the mark before a paid POST and FAL's id after it. Replication is asynchronous: a failover right
after either would send a picture twice, or lose a request that is paid for. Without replicas it costs one
INFO every few seconds.
"""

import time
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from image2model.store.connection import StoreOutage, command
from image2model.store.run_id import last_run_id
from image2model.store.scripts import Script

_log = structlog.get_logger(__name__)

_KNOWN_S: Final = 5.0
_WAIT_MS: Final = 1500
_WEAK_S: Final = 60.0
_ON_DISK: Final = ("WAITAOF", 1, 1, _WAIT_MS)
_IN_MEMORY: Final = ("WAIT", 1, _WAIT_MS)


class NotCopied(StoreOutage):
    """The write is stored, but no replica confirmed it in time."""


class Replicas:
    """Runs scripts and waits for a replica. Replicas without an append-only file confirm from memory instead.

    It belongs to one event loop.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._exist = False
        self._known_until = 0.0
        self._weak_until = 0.0
        self._run_id = ""

    async def run(self, script: Script, *args: object) -> Any:
        """The script's reply, once a replica has what it wrote. Raises NotCopied, StoreOutage."""
        if not await self._has_replicas():
            done = await script.packed(self._redis, *args)
            if last_run_id() == self._run_id:
                return done
            self._known_until = 0.0  # another server replied, which may have replicas
            if not await self._has_replicas():
                return done
        weak = time.monotonic() < self._weak_until
        done, confirmed = await script.followed_by(self._redis, _IN_MEMORY if weak else _ON_DISK, *args)
        if _copies(confirmed) < 1:
            self._note_failure(weak)
            raise NotCopied("no replica has confirmed the write")
        return done

    def _note_failure(self, weak: bool) -> None:
        self._known_until = 0.0  # the replica may be gone
        if not weak:
            self._weak_until = time.monotonic() + _WEAK_S
        _log.warning(
            "replica_not_confirming",
            confirmation="memory" if weak else "disk",
            advice="appendonly yes on replicas",
        )

    async def _has_replicas(self) -> bool:
        now = time.monotonic()
        if now >= self._known_until:
            about: dict[str, Any] = await command(self._redis, "INFO", "replication")
            self._exist = int(about.get("connected_slaves", 0)) > 0
            self._known_until = now + _KNOWN_S
            self._run_id = last_run_id()
        return self._exist


def _copies(confirmed: object) -> int:
    """The replicas in a reply of WAIT, or of WAITAOF (local, replicas); none in an error (no append-only
    file)."""
    if isinstance(confirmed, list):
        return int(confirmed[1])
    return confirmed if isinstance(confirmed, int) else 0


_RECOMMENDED: Final = {
    "appendfsync": ("always", "a crash of the store can lose the id of a request that is paid for"),
    "maxmemory-policy": ("noeviction", "the store may drop jobs when its memory is full"),
}


async def warnings(redis: Redis) -> list[str]:
    """One sentence for each setting that endangers a job; empty where all is well."""
    try:
        reply: list[bytes] = await command(
            redis, "CONFIG", "GET", "appendonly", "appendfsync", "maxmemory-policy"
        )
    except ResponseError as error:  # a hosted server may refuse CONFIG
        advice = "make sure that appendfsync is always and maxmemory-policy is noeviction"
        return [f"The store does not report its settings ({error}): {advice}."]
    found = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    if found.get("appendonly") != "yes":
        found["appendfsync"] = "never (appendonly no)"
    return [
        f"The store has {name} {found.get(name)}, not {wanted}: {danger}."
        for name, (wanted, danger) in _RECOMMENDED.items()
        if found.get(name) != wanted
    ]
