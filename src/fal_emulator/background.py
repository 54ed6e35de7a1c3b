"""Another program of the same account: requests that wait and run beside ours, and that no ledger shows.

Steered by the control routes. They take their turn in the account's queue like any other.
"""

import asyncio
from uuid import uuid4

import msgspec

from fal_emulator.endpoints import Endpoint
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.runners import Runners


class BackgroundDocument(msgspec.Struct, frozen=True):
    """How many of another program's requests run and wait now, and how many have ended."""

    running: int
    waiting: int
    ended: int


class Background:
    """`account`: whose they are if nobody says otherwise, that of the last submission."""

    def __init__(self, runners: Runners) -> None:
        self.account: str | None = None
        self._runners = runners
        self._unfinished: dict[str, Generation] = {}
        self._ended = 0
        self._timers: set[asyncio.TimerHandle] = set()

    def submit(self, account: str, endpoint: Endpoint, latency: float, *, count: int, rate: float) -> None:
        """`count` requests now, and `rate` a second until `stop`."""
        for _ in range(count):
            self._accept(account, endpoint, latency)
        if rate:
            self._accept_regularly(account, endpoint, latency, 1 / rate)

    def stop(self) -> None:
        """No more of them, and those that are unfinished are cancelled."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for generation in list(self._unfinished.values()):
            self._runners.cancel(generation)

    def ended(self, generation: Generation) -> None:
        """One of them has ended."""
        del self._unfinished[generation.request_id]
        self._ended += 1

    def document(self) -> BackgroundDocument:
        """The numbers as JSON's shape."""
        running = sum(one.phase is Phase.IN_PROGRESS for one in self._unfinished.values())
        return BackgroundDocument(running, len(self._unfinished) - running, self._ended)

    def _accept_regularly(self, account: str, endpoint: Endpoint, latency: float, gap: float) -> None:
        self._accept(account, endpoint, latency)
        loop = asyncio.get_running_loop()

        def again() -> None:
            self._timers.discard(timer)
            self._accept_regularly(account, endpoint, latency, gap)

        timer = loop.call_later(gap, again)
        self._timers.add(timer)

    def _accept(self, account: str, endpoint: Endpoint, latency: float) -> None:
        generation = Generation(
            request_id=str(uuid4()),
            endpoint=endpoint,
            arguments={},
            recorded={},
            tags={},
            key_id=account,
            base_url="",
            latency=latency,
            background=True,
        )
        generation.work = asyncio.get_running_loop().create_future()
        generation.work.set_result(Answer(200, {}))
        self._unfinished[generation.request_id] = generation
        self._runners.accept(generation)
