"""A few decoder processes that serve many callers of one process.

Decoders of the newer formats run here and nowhere else: they are large programs that read what strangers
send. A process without work for a while ends, so that a service without such pictures has none.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from image2model.decoding.process import LONGEST_S, DecoderProcess
from image2model.media.heads import HEAD_BYTES, is_png_jpeg_or_webp

_PROCESSES: Final = 2
_IDLE_S: Final = 60.0
T = TypeVar("T")


def is_isolated(data: bytes) -> bool:
    """Whether this picture is decoded in a process of its own: one of any format but PNG, JPEG and WebP."""
    return not is_png_jpeg_or_webp(data[:HEAD_BYTES])


class DecoderPool:
    """Belongs to one event loop; close it at the end. `processes` bounds what is decoded at once."""

    def __init__(
        self, processes: int = _PROCESSES, *, idle_s: float = _IDLE_S, longest_s: float = LONGEST_S
    ) -> None:
        self._free = [DecoderProcess(longest_s=longest_s) for _ in range(processes)]
        self._all = tuple(self._free)
        self._slots = asyncio.Semaphore(processes)
        self._idle_s = idle_s
        self._ends: dict[DecoderProcess, asyncio.TimerHandle] = {}

    async def run(self, call: Callable[[], T]) -> T:
        """The result of `call`, which must be picklable. Raises as `DecoderProcess.run` does."""
        async with self._slots:
            decoder = self._free.pop()  # the one that was used last, so the others become idle
            if (end := self._ends.pop(decoder, None)) is not None:
                end.cancel()
            try:
                return await decoder.run(call)
            finally:
                self._free.append(decoder)
                loop = asyncio.get_running_loop()
                self._ends[decoder] = loop.call_later(self._idle_s, decoder.close)

    def close(self) -> None:
        """Kill them all."""
        for end in self._ends.values():
            end.cancel()
        for decoder in self._all:
            decoder.close()

    async def aclose(self) -> None:
        """Kill them all, and wait for their end."""
        self.close()
        for decoder in self._all:
            await decoder.aclose()
