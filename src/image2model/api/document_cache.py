"""Job documents as bytes, ready to be sent, for as long as their version is the newest.

Who calls it: the status route. One entry for each job, bounded by bytes; the least recently asked for go
first. It is never asked without the version that the store has just told.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

DEFAULT_BYTES: Final = 32 << 20


class DocumentCache:
    """Belongs to one event loop."""

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._entries: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    async def get(
        self, job_id: str, version: int, build: Callable[[], Awaitable[tuple[int, bytes]]]
    ) -> tuple[int, bytes]:
        """The document of at least this version, and its version; built by `build` where it is not here."""
        entry = self._entries.get(job_id)
        if entry is not None and entry[0] >= version:
            self._entries.move_to_end(job_id)
            return entry
        built = await build()
        self._keep(job_id, built)
        return built

    def _keep(self, job_id: str, entry: tuple[int, bytes]) -> None:
        before = self._entries.pop(job_id, None)
        if before is not None:
            self.held -= len(before[1])
            entry = max(before, entry, key=lambda one: one[0])
        self._entries[job_id] = entry
        self.held += len(entry[1])
        while self.held > self.max_bytes:
            _, (_, dropped) = self._entries.popitem(last=False)
            self.held -= len(dropped)
