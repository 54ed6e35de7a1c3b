"""The table: each altered result by itself, and pairs of those that alter different parts of an answer."""

from itertools import combinations, product

from tests.results.answers import BILLS, REPLIES, STATUSES
from tests.results.fields import FIELDS
from tests.results.transfers import TRANSFERS
from tests.support.altering import Alteration

TRIPO = "tripo3d/tripo/v2.5/image-to-3d"

Case = tuple[Alteration, ...]

PARTS = (FIELDS, TRANSFERS, STATUSES, REPLIES, BILLS)

SINGLES: tuple[Case, ...] = ((Alteration("unaltered"),), *((one,) for part in PARTS for one in part))


_ORDER = [one.name for part in PARTS for one in part]
_STRIDE = 17


def every_pair() -> list[Case]:
    """All pairs of alterations of different parts."""
    return [pair for first, second in combinations(PARTS, 2) for pair in product(first, second)]


def some_pairs(turn: int) -> tuple[Case, ...]:
    """One pair for each alteration, with a partner from another part; another `turn` gives other partners."""
    pairs = {}
    for at, part in enumerate(PARTS):
        others = [one for number, other in enumerate(PARTS) if number != at for one in other]
        for number, one in enumerate(part):
            # a prime stride reaches every partner before it comes round again
            partner = others[(number * _STRIDE + turn * 41 + at) % len(others)]
            pair = (one, partner) if _position(one) < _position(partner) else (partner, one)
            pairs[name_of(pair)] = pair
    return tuple(pairs.values())


def _position(alteration: Alteration) -> int:
    return _ORDER.index(alteration.name)


def name_of(case: Case) -> str:
    """Such as `preview_404+units_missing`."""
    return "+".join(one.name for one in case)


def endpoint_of(case: Case) -> str:
    """The endpoint that its alterations are about."""
    return next((one.needs for one in case if one.needs), TRIPO)
