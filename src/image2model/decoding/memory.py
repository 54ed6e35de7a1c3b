"""How much memory decoding a picture takes, and a budget that bounds what is decoded at once by it.

A picture of 48 megapixels takes as much as forty of a megapixel, so their number bounds nothing.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from image2model.domain import PictureLimits
from image2model.errors import FileProblem
from image2model.media.fitting import DRAFT_SCALES, NO_LIMITS, draft_size, fitted
from image2model.media.inspect import inspect
from image2model.media.picture import PictureInfo

DECODED_BYTES: Final = 640 << 20
"""What the pictures may take that one process decodes at once. A larger one is decoded alone."""
_PIXEL: Final = 4
"""Pillow keeps RGB in four bytes, as RGBA."""
_NEWER: Final = 14
"""The libraries of HEIC and AVIF take up to 4.5 times three bytes a pixel, beside Pillow's copy."""
_COEFFICIENTS: Final = 6
"""A JPEG of several scans is held whole, however small it is decoded."""
_SCAN: Final = b"\xff\xda"


def decoding_bytes(data: bytes, limits: PictureLimits = NO_LIMITS) -> int:
    """About how many bytes it takes to decode this picture and to make it fit within `limits`.

    0 for one that no decoder will get. It reads the file's structure only.
    """
    try:
        info = inspect(data, max_pixels=1 << 60)
    except FileProblem:
        return 0
    pixels = info.width * info.height
    width, height = fitted((info.width, info.height), limits)
    sent = width * height
    if info.format == "jpeg":
        decoded = pixels // _scale(info, (width, height)) ** 2
        held = pixels * _COEFFICIENTS if data.count(_SCAN) > 1 else 0
        return held + (decoded + 2 * sent) * _PIXEL
    if info.format in ("heic", "avif"):
        return pixels * (_NEWER + _PIXEL) + 2 * sent * _PIXEL
    return (2 * pixels + 2 * sent) * _PIXEL


def _scale(info: PictureInfo, size: tuple[int, int]) -> int:
    """How much smaller the JPEG's decoder makes each side, as Pillow asks it to."""
    width, height = draft_size((info.width, info.height), size)
    ratio = min(info.width // width, info.height // height)
    return next((scale for scale in DRAFT_SCALES if ratio >= scale), 1)


class ByteBudget:
    """`most` bytes, granted first come, first served. A larger request gets all of it, alone.

    Belongs to one event loop. A holder must not request more: two of them would wait for each other.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait until `size` bytes are free, and keep them for the length of the block."""
        size = min(size, self._most)
        await self._take(size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            granted = not turn.cancelled()  # in the same moment
            self._give_back(size if granted else 0)
            raise

    def _give_back(self, size: int) -> None:
        """Free the bytes and admit those whose turn it is. A small one never overtakes a large one."""
        self._free += size
        while self._waiting:
            needed, turn = self._waiting[0]
            if not turn.done() and needed > self._free:
                return
            self._waiting.popleft()
            if not turn.done():
                self._free -= needed
                turn.set_result(None)
