"""Clients that go on and on while a test does something to the service, each of them watched.

Who calls it: the tests of deploys. What a client raises is a failure with its name; one that makes no
progress any more is found by `progress`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

Client = Callable[[], Awaitable[None]]
_PAUSE_S = 0.05


class Traffic:
    """`clients`: one round of each, by name. `failures`: a sentence for each round that raised."""

    def __init__(self, clients: Mapping[str, Client], *, patience_s: float = 30.0) -> None:
        self.failures: list[str] = []
        self.rounds: Counter[str] = Counter()
        self._clients = clients
        self._patience_s = patience_s
        self._ending = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        for name, client in self._clients.items():
            self._tasks[name] = asyncio.create_task(self._go_on(name, client))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Let each finish its round; one that cannot is a failure too."""
        self._ending.set()
        _, stuck = await asyncio.wait(self._tasks.values(), timeout=self._patience_s)
        for name, task in self._tasks.items():
            if task in stuck:
                task.cancel()
                self.failures.append(f"{name} does not come to the end of its round")
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def progress(self, within: float = 60.0) -> None:
        """Wait until every client has begun and ended a round. AssertionError names those who have not."""
        before = dict(self.rounds)
        waiting = set(self._clients)
        try:
            async with asyncio.timeout(within):
                while waiting := {n for n in waiting if self.rounds[n] < before.get(n, 0) + 2}:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no progress within {within:g} s: {', '.join(sorted(waiting))}") from None

    async def _go_on(self, name: str, client: Client) -> None:
        while not self._ending.is_set():
            try:
                await client()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
                self.failures.append(f"{name}: {error!r}")
            else:
                self.rounds[name] += 1
            await asyncio.sleep(_PAUSE_S)
