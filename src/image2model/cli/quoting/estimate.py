"""What a `submit` would do with each picture, and what it would cost.

Who calls it: the session makes it, the words say it.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from image2model.cli.submit.item import Item


class Fate(StrEnum):
    """What `submit` would do with a picture."""

    BUY = "buy"
    CACHED = "cached"
    SAVED = "saved"
    SENT = "sent"
    REFUSED = "refused"


class Entry(msgspec.Struct, frozen=True):
    """One picture. `cost_usd`: None where only the run tells; a refused one has its reason in the item."""

    item: Item
    fate: Fate
    cost_usd: float | None = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The service's word on some pictures: their entries, for which model, and how its price is meant."""

    entries: Sequence[Entry]
    model: str = ""
    price_note: str = ""


class Estimate(msgspec.Struct, frozen=True):
    """The whole. `model` is empty where the service had nothing to judge."""

    entries: Sequence[Entry]
    left_out: Sequence[Path]
    model: str
    price_note: str

    def of(self, fate: Fate) -> list[Entry]:
        """The entries of one fate."""
        return [entry for entry in self.entries if entry.fate is fate]

    @property
    def total_usd(self) -> float | None:
        """None where the price of any picture is not known."""
        costs = [entry.cost_usd for entry in self.of(Fate.BUY)]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 6) if len(known) == len(costs) else None
