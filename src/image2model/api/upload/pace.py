"""The body as it comes from the server, held to its size and to a least speed.

Who calls it: the reader. Only the time spent waiting for the sender counts as slowness; time that the
reader spends elsewhere (for memory, for a sink) is ours.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from image2model.api.upload.limits import UploadLimits
from image2model.errors import BodyTooLarge, UploadTooSlow


def body_too_large(limits: UploadLimits) -> BodyTooLarge:
    """The refusal of a body over the limit."""
    return BodyTooLarge(
        f"The request body is larger than {limits.max_body_bytes} bytes. Send fewer or smaller files at once."
    )


class PacedBody:
    """One request's body. `read` gives chunks in order, then `b""`.

    `crowded` tells whether others wait for memory.
    """

    def __init__(
        self, receive: Receive, limits: UploadLimits, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self._crowded = crowded
        self._receive = receive
        self._limits = limits
        self._received = 0
        self._more = True
        self._window_bytes = 0
        self._window_time = 0.0
        self._waited = 0.0

    async def read(self) -> bytes:
        """The next bytes, as many as the server has; empty at the end of the body.

        Raises `UploadTooSlow`, `BodyTooLarge`, or `ClientDisconnect` when the sender is gone.
        """
        while self._more:
            if chunk := await self._next():
                return chunk
        return b""

    async def _next(self) -> bytes:
        started = monotonic()
        try:
            async with asyncio.timeout(self._limits.rate_window - self._window_time):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self._more = message.get("more_body", False)
        self._count(len(chunk), monotonic() - started)
        return chunk

    def _count(self, size: int, waited: float) -> None:
        self._received += size
        if self._received > self._limits.max_body_bytes:
            raise body_too_large(self._limits)
        self._waited += waited
        if self._more and self._waited > self._time_allowed():
            raise self._too_slow()
        self._window_bytes += size
        self._window_time += waited
        if self._window_bytes >= self._limits.min_rate * self._limits.rate_window:
            self._window_bytes, self._window_time = 0, 0.0
        elif self._more and self._window_time >= self._limits.rate_window:
            raise self._too_slow()

    def _time_allowed(self) -> float:
        """Seconds that may have been waited for what has come so far."""
        limits = self._limits
        if not self._crowded():
            return limits.max_seconds
        return min(limits.max_seconds, limits.crowded_grace + self._received / limits.crowded_rate)

    def _too_slow(self) -> UploadTooSlow:
        return UploadTooSlow(
            f"The upload came slower than {self._limits.min_rate} bytes a second for "
            f"{self._limits.rate_window:g} s, or held up others, or took {self._limits.max_seconds:g} s. "
            "Send it again over a faster connection, or in smaller batches.",
            headers={"Connection": "close"},
        )
