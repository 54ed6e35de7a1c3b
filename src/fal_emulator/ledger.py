"""The record of every submission accepted, from which a test counts duplicates.

Written by the submit route and told of every end; read by the control and the lookup routes.
"""

import msgspec

from fal_emulator.generation import Generation, LedgerEntry


class LedgerDocument(msgspec.Struct):
    """`GET /_emulator/ledger`. `max_in_flight`: most accepted and not finished since the last DELETE."""

    max_in_flight: int
    submissions: list[LedgerEntry]


class Ledger:
    """All generations since the last `clear`, in the order of their acceptance."""

    def __init__(self) -> None:
        self.generations: list[Generation] = []
        self.in_flight = 0
        self._most = 0

    def accepted(self, generation: Generation) -> None:
        """Write the submission down."""
        self.generations.append(generation)
        self.in_flight += 1
        self._most = max(self._most, self.in_flight)

    def ended(self) -> None:
        """One of the accepted has finished."""
        self.in_flight -= 1

    def clear(self) -> None:
        """Forget the lines and the maximum; what is in flight still counts."""
        self.generations = []
        self._most = self.in_flight

    def document(self) -> LedgerDocument:
        """The ledger as JSON's shape."""
        return LedgerDocument(self._most, [generation.entry for generation in self.generations])
