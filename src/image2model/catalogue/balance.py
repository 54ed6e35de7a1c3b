"""The account's balance at FAL as it was read last (`credits`), and what it is enough for."""

from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.catalogue import bills
from image2model.money import to_usd
from image2model.store import arq_keys
from image2model.store.connection import command
from image2model.store.keys import Queue, key

LOW: Final = 100
"""Enough for fewer pictures than this, or than are waiting, is a warning."""
_FIELDS: Final = ("micro", "read_at", "error")


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What was read last. `micro`: micro-dollars, None until a reading succeeded; `read_at` is ms since the
    epoch, of the last success; `error`: why the last reading failed. `enough_for`: how many more pictures
    it pays for, by their mean cost of late; None where that is not known. `low`: that is few.
    """

    micro: int | None
    read_at: int
    error: str
    enough_for: int | None
    low: bool

    @property
    def warning(self) -> str:
        """What to do, for people; empty where nothing needs to be done."""
        if self.error and self.micro is None:
            return f"FAL's balance cannot be read with I2M_FAL_ADMIN_KEY: {self.error}"
        if not self.low or self.micro is None:
            return ""
        pictures = (
            f" It is enough for {self.enough_for} more pictures." if self.enough_for is not None else ""
        )
        return f"FAL's account has ${to_usd(self.micro):.2f} left.{pictures} Buy credits before FAL refuses."


async def read(redis: Redis) -> Balance | None:
    """None where no admin key was ever used. Raises StoreOutage."""
    micro, read_at, error = await command(redis, "HMGET", key("fal_account"), *_FIELDS)
    if micro is None and error is None:
        return None
    left = int(micro) if micro else None
    mean = await bills.mean_cost(redis)
    enough = None if left is None or not mean else max(0, left) // mean
    waiting = int(await command(redis, "ZCARD", arq_keys.queue_key(Queue.GENERATION)))
    low = left is not None and (left <= 0 or (enough is not None and enough < max(LOW, waiting)))
    return Balance(
        micro=left,
        read_at=int(read_at or 0),
        error=(error or b"").decode(),
        enough_for=enough,
        low=low,
    )
