"""Bytes that a worker holds: never over the budget, in the order of asking, none lost to a cancellation."""

import asyncio

import pytest

from image2model.decoding.memory import ByteBudget


class Holders:
    """Tasks that hold bytes until they are told to release them; `held` are the names of those that do."""

    def __init__(self, budget: ByteBudget) -> None:
        self.budget = budget
        self.held: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, size: int) -> None:
        """Begin to ask, and let all that can go on do so."""
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, size))
        await self.settle()

    async def release(self, name: str) -> None:
        """End a hold."""
        self.ends[name].set()
        await self.tasks[name]
        await self.settle()

    async def cancel(self, *names: str) -> None:
        """Cancel, all in the same step of the loop."""
        for name in names:
            self.tasks[name].cancel()
        await asyncio.gather(*(self.tasks[name] for name in names), return_exceptions=True)
        await self.settle()

    async def settle(self) -> None:
        """Nothing here waits for anything but the budget."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def _hold(self, name: str, size: int) -> None:
        async with self.budget.hold(size):
            self.held.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.held.remove(name)


@pytest.fixture
def holders() -> Holders:
    return Holders(ByteBudget(10))


async def test_small_one_does_not_pass_a_large_one_that_waits(holders: Holders) -> None:
    await holders.ask("first", 6)
    await holders.ask("large", 8)
    await holders.ask("small", 1)
    assert holders.held == ["first"]
    await holders.release("first")
    assert holders.held == ["large", "small"]
    await holders.release("large")
    await holders.release("small")


async def test_one_that_is_larger_than_all_gets_all_alone(holders: Holders) -> None:
    await holders.ask("first", 1)
    await holders.ask("huge", 99)
    await holders.ask("next", 1)
    assert holders.held == ["first"]
    await holders.release("first")
    assert holders.held == ["huge"]
    await holders.release("huge")
    assert holders.held == ["next"]
    await holders.release("next")


async def test_large_one_that_gives_up_makes_way(holders: Holders) -> None:
    await holders.ask("first", 6)
    await holders.ask("large", 8)
    await holders.ask("small", 4)
    await holders.cancel("large")
    assert holders.held == ["first", "small"]
    await holders.cancel("first", "small")
    await holders.ask("all", 10)
    assert holders.held == ["all"]
    await holders.release("all")


async def test_bytes_granted_in_the_moment_of_a_cancellation_come_back(holders: Holders) -> None:
    await holders.ask("first", 10)
    await holders.ask("second", 10)
    holders.ends["first"].set()
    while not holders.tasks["first"].done():
        await asyncio.sleep(0)  # its bytes are the second's now, which has not run yet
    assert holders.held == []
    await holders.cancel("second")
    await holders.ask("third", 10)
    assert holders.held == ["third"]
    await holders.release("third")
