"""What an owner uses: unfinished images, money spent and money set aside for what is under way.

Who calls it: the acceptance of a batch and a retry, before they begin; the scripts do the counting, in the
same step as the move that they count.
"""

import msgspec

from image2model.store.api_keys import Budget


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use. `key` is its digest, empty for the key of the settings; no `budget`: no bound."""

    key: str
    max_queued: int
    budget: Budget | None
