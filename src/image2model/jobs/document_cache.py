"""Job documents as bytes, ready to be sent, for as long as the store says that they are the present state.

Who calls it: the status route. One entry for each job, bounded by bytes; the least recently asked for go
first. It is never asked without the state that the store has just told, and serves no other: a store that
came back with older data is believed at once.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from image2model.access.lookup import JobState
from image2model.telemetry.metrics import STORE_ROLLBACKS

DEFAULT_BYTES: Final = 32 << 20
_log: Final = structlog.stdlib.get_logger(__name__)


class Built(msgspec.Struct, frozen=True):
    """A document, and the state that it shows."""

    state: JobState
    body: bytes


class DocumentCache:
    """Belongs to one event loop."""

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._entries: OrderedDict[str, Built] = OrderedDict()

    async def get(self, job_id: str, state: JobState, build: Callable[[], Awaitable[Built]]) -> Built:
        """The document of this state; built by `build` where it is not here, and then at least as new."""
        entry = self._entries.get(job_id)
        if entry is not None and entry.state == state:
            self._entries.move_to_end(job_id)
            return entry
        if entry is not None:
            _note_rollback(job_id, entry.state, state)
        built = await build()
        self._keep(job_id, built)
        return built

    def _keep(self, job_id: str, entry: Built) -> None:
        before = self._entries.pop(job_id, None)
        if before is not None:
            self.held -= len(before.body)
        self._entries[job_id] = entry
        self.held += len(entry.body)
        while self.held > self.max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.held -= len(dropped.body)


def _note_rollback(job_id: str, before: JobState, now: JobState) -> None:
    """Within one life an older version is only a request that was overtaken by another one."""
    if before.run_id != now.run_id and before.version > now.version:
        STORE_ROLLBACKS.inc()
        _log.error("store_rolled_back", job_id=job_id, before=before.version, now=now.version)
