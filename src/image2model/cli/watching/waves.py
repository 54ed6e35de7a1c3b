"""Carries the whole pictures of a watched folder to the service, in waves: what is new does not wait for
what is being generated.

Who calls it: the watcher. Two pictures of one content never run at once; the second one waits and then
takes the first one's model.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from image2model.cli.submit.board import Board
from image2model.cli.submit.collect import Found
from image2model.cli.submit.flow import Flow
from image2model.cli.submit.following import Follower
from image2model.cli.submit.ledger import Ledger, Wish
from image2model.cli.submit.planning import prepare
from image2model.cli.submit.saving import Saver
from image2model.cli.submit.sending import Sender
from image2model.client import AsyncClient, ClientError
from image2model.threads import in_thread

_AGAIN_SECONDS = 30.0


class Waves:
    """All waves of one run."""

    def __init__(
        self, client: AsyncClient, ledger: Ledger, wish: Wish, out: Path, board: Board, *, at_once: int
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._wish = wish
        self._out = out
        self._board = board
        self._at_once = at_once
        self._follower = Follower(client, Saver(client, ledger, wish, out), board)
        self._running: set[str] = set()
        self._waiting: list[Found] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._planning = asyncio.Lock()

    def send(self, pictures: Sequence[Found]) -> None:
        """Begin with these; returns at once."""
        if self._stopped:
            return
        free = [picture for picture in pictures if picture.sha256 not in self._running]
        self._waiting += [picture for picture in pictures if picture.sha256 in self._running]
        if free:
            self._running |= {picture.sha256 for picture in free}
            task = asyncio.create_task(self._carry(free))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Leave the jobs to the service; a later run picks them up. Nothing uses the ledger afterwards."""
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, pictures: Sequence[Found]) -> None:
        try:
            await self._once(pictures)
        except ClientError as error:
            self._board.note(f"{error}; trying again in {_AGAIN_SECONDS:.0f} s")
            await asyncio.sleep(_AGAIN_SECONDS)
            await self._carry(pictures)
        finally:
            self._running -= {picture.sha256 for picture in pictures}
            waiting, self._waiting = self._waiting, []
            self.send(waiting)

    async def _once(self, pictures: Sequence[Found]) -> None:
        async with self._planning:
            plan = await in_thread(prepare, pictures, self._ledger, self._wish, self._out)
        self._board.begin(plan.items)
        sender = Sender(self._client, self._ledger, self._wish, plan.items)
        flow = Flow(
            self._client, self._ledger, sender, self._follower, self._board,
            at_once=self._at_once, retry_failed=False,
        )  # fmt: skip
        await flow.run(plan)
