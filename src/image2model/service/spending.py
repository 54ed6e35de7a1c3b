"""Who spent what, told by the names that an operator has given to keys.

Who calls it: the operator's numbers, and the scrape of metrics. It only reads.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.store import accounts, api_keys
from image2model.store.accounts import Spent

NO_KEY: Final = "(no key)"
"""Stands for an owner without a key on record: the settings' admin key, everybody under `I2M_AUTH=none`."""
OTHERS: Final = "(others)"
MOST_SHOWN: Final = 500
"""Pairs of names and models that are told apart; what the rest spent goes to `OTHERS`, by model."""


class SpentToday(msgspec.Struct, frozen=True):
    """What the owners of one set of key names spent on one model since midnight UTC, in micro-dollars."""

    names: str
    model: str
    micro: int


async def names_of_owners(redis: Redis) -> dict[str, tuple[str, ...]]:
    """The names of each owner's keys, the oldest first, those of revoked ones too."""
    names: dict[str, tuple[str, ...]] = {}
    for key in await api_keys.listing(redis):
        names[key.owner] = (*names.get(key.owner, ()), key.name)
    return names


async def today(redis: Redis) -> list[SpentToday]:
    """This UTC day's spending; no two rows have names and model alike. Raises StoreOutage."""
    (spent,) = await accounts.spent_on(redis, [datetime.now(UTC).date().isoformat()])
    return by_names(spent, await names_of_owners(redis)) if spent else []


def by_names(spent: Sequence[Spent], names: Mapping[str, tuple[str, ...]]) -> list[SpentToday]:
    """One row for all owners whose keys are called alike: names need not be unique, labels must.

    At most `MOST_SHOWN` rows tell who it was, those that spent most, and one for each model sums up the rest.
    """
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in spent:
        sums[",".join(sorted(set(names.get(one.owner, ())))) or NO_KEY, one.model] += one.micro
    shown: defaultdict[tuple[str, str], int] = defaultdict(int)
    for rank, pair in enumerate(sorted(sums, key=lambda pair: (-sums[pair], pair))):
        shown[pair if rank < MOST_SHOWN else (OTHERS, pair[1])] += sums[pair]
    return [SpentToday(label, model, micro) for (label, model), micro in sorted(shown.items())]
