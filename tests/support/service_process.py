"""A process of the service, with its log.

Who calls it: the worlds of the tests and of the bench. It imports nothing of the service, so that the bench
can measure other revisions with it.
"""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.support.secrecy import Watch
from tests.support.starts import Start, interpreter


class ServiceProcess:
    """One process of the service, `worker` or `api`."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str], log: Path, start: Start = interpreter
    ) -> None:
        self.log = log
        self.watch = Watch(environment, log)
        with log.open("ab") as out:
            self._process = start(command, environment, out, out)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """A signal, if it still lives."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    async def exit_code(self, timeout: float = 30) -> int:
        """Wait for its end."""
        async with asyncio.timeout(timeout):
            while (code := self._process.poll()) is None:
                await asyncio.sleep(0.01)
        return code

    async def end(self) -> None:
        """Gone, however."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        await self.exit_code()
