"""Warnings about the pictures of a quote, measured while the quote's form still arrives.

A fixed number of threads bounds the memory: each decodes one picture at a time, those of the newer formats
in a process of their own. The time for each quote is bounded: when it is used up, the pictures that follow
get no warnings. So a busy service answers with fewer warnings, not much later.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Final

import structlog

from image2model.decoding.pool import DecoderPool, is_isolated
from image2model.decoding.process import DecoderDied
from image2model.http.upload import ReceivedFile
from image2model.media.advice import Advice, advice

_QUOTE_SECONDS: Final = 20.0
_log: Final = structlog.stdlib.get_logger(__name__)


class Advisor:
    """Belongs to one event loop; `aclose` it at the end. `threads` bounds what is decoded at once."""

    def __init__(
        self, *, max_pixels: int, threads: int = 2, seconds_for_quote: float = _QUOTE_SECONDS
    ) -> None:
        self._measure = partial(advice, max_pixels=max_pixels)
        self._seconds = seconds_for_quote
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="advice")
        self._decoders = DecoderPool(threads)
        self._slots = asyncio.Semaphore(threads)

    def begin(self) -> "QuoteAdvice":
        """Ready for the pictures of one quote."""
        return QuoteAdvice(self, self._seconds)

    async def aclose(self) -> None:
        """End the threads and the processes, and wait for the end of the latter."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        await self._decoders.aclose()

    async def of(self, data: bytes, deadline: float) -> Advice | None:
        """The warning about a picture; None also where no thread is free before the deadline.

        A decoder that has begun is waited for, because its bytes count as held until this returns.
        """
        try:
            async with asyncio.timeout(deadline):
                await self._slots.acquire()
        except TimeoutError:
            return None
        try:
            if is_isolated(data):
                return await self._decoders.run(partial(self._measure, bytes(data)))
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._measure, data)
        except DecoderDied as died:
            _log.warning("advice_given_up", reason=str(died))
            return None
        except Exception:  # noqa: BLE001 - reported; without the warning, the quote is right all the same
            _log.exception("advice_failed")
            return None
        finally:
            self._slots.release()


class QuoteAdvice:
    """The warnings of one quote. `look` is the sink of its form."""

    def __init__(self, advisor: Advisor, seconds: float) -> None:
        self._advisor = advisor
        self._left = seconds
        self._found: dict[int, Advice] = {}

    @property
    def found(self) -> Mapping[int, Advice]:
        """The warnings by the index of the file in the form."""
        return self._found

    async def look(self, file: ReceivedFile, data: bytes) -> None:
        """Measure one good file, if the quote has any time left."""
        if self._left <= 0:
            return
        begun = monotonic()
        found = await self._advisor.of(data, self._left)
        self._left -= monotonic() - begun
        if found is not None:
            self._found[file.index] = found
