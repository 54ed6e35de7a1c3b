"""One request of a client that sends pictures or takes second steps, for those who judge what it left."""

from dataclasses import dataclass


@dataclass
class Try:
    """One request: to which replica, from when to when by the wall clock, and the answer's status."""

    base: str
    begun: float
    ended: float = float("inf")
    status: int | None = None
