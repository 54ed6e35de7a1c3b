"""What becomes of a delivery after an attempt, and when the next one is due.

Who calls it: the worker after each attempt, the API for a replay. Pure: a record in, a record out.
"""

import random
from typing import Final

from msgspec.structs import replace

from image2model.store.deliveries import Attempt, Delivery, DeliveryState

GAPS_S: Final = (5, 30, 120, 600, 1800, 3600, 10_800, 21_600)
"""Seconds to the next attempt after each failure in a row; after the last one nobody tries again."""
_JITTER: Final = 0.2
_GONE: Final = 410


def after_attempt(delivery: Delivery, turn: int, attempt: Attempt) -> Delivery:
    """The record with this attempt in it. `turn` is the one that it was made for.

    Where a replay has planned a later turn meanwhile, the attempt is only noted.
    """
    noted = replace(delivery, attempts=(*delivery.attempts, attempt))
    if delivery.turn != turn or delivery.state is not DeliveryState.PENDING:
        return noted
    if attempt.error is None:
        return replace(noted, state=DeliveryState.DELIVERED, next_at=None)
    if attempt.status == _GONE or delivery.tries >= len(GAPS_S):
        return replace(noted, state=DeliveryState.FAILED, next_at=None)
    due = attempt.at + attempt.duration_ms + _jittered_ms(GAPS_S[delivery.tries])
    return replace(noted, turn=turn + 1, tries=delivery.tries + 1, next_at=due)


def failed_by_us(delivery: Delivery, turn: int, attempt: Attempt) -> Delivery:
    """The record where this service could not make the attempt: failed, unless a later turn is planned."""
    noted = replace(delivery, attempts=(*delivery.attempts, attempt))
    if delivery.turn != turn or delivery.state is not DeliveryState.PENDING:
        return noted
    return replace(noted, state=DeliveryState.FAILED, next_at=None)


def replayed(delivery: Delivery, at: int) -> Delivery:
    """The record with an attempt planned now, and all its tries again after that."""
    return replace(delivery, state=DeliveryState.PENDING, turn=delivery.turn + 1, tries=0, next_at=at)


def _jittered_ms(seconds: int) -> int:
    share = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
    return int(seconds * 1000 * share)
