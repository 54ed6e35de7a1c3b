"""The Deployment of the workers: as many processes as the autoscaler wants, stopped as Kubernetes stops pods.

Who calls it: the driver. A worker that is stopped gets SIGTERM, and SIGKILL after the grace of the shipped
Deployment, which is a fault here.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence

from tests.support.fleet import Fleet
from tests.support.service_process import ServiceProcess


class Replicas:
    """`faults`: a sentence for each worker that ended otherwise than it should. `ports` are for their
    metrics; there are more than replicas may be, because those that end still hold theirs."""

    def __init__(self, fleet: Fleet, settings: Mapping[str, str], ports: Sequence[int], grace: float) -> None:
        self.faults: list[str] = []
        self.starts = 0
        self._fleet = fleet
        self._settings = settings
        self._free = list(ports)
        self._grace = grace
        self._running: dict[int, ServiceProcess] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many there are, those that end aside."""
        return len(self._running)

    @property
    def living(self) -> int:
        """How many processes there are, with those that end."""
        return self.count + len(self._ending)

    def scale(self, wanted: int) -> None:
        """Start or stop some. Who has died is replaced, as the Deployment would, and is a fault."""
        for port, worker in list(self._running.items()):
            if worker.ended:
                self.faults.append(f"a worker died by itself: {worker.log.name}")
                self._free.append(port)
                del self._running[port]
        while self.count < wanted:
            port = self._free.pop(0)
            self._running[port] = self._fleet.start_worker(
                **self._settings, I2M_WORKER_METRICS_PORT=str(port)
            )
            self.starts += 1
        while self.count > wanted:
            task = asyncio.create_task(self._end(*self._running.popitem()))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def end(self) -> None:
        """Stop all, and wait for their ends."""
        self.scale(0)
        await asyncio.gather(*self._ending)

    async def _end(self, port: int, worker: ServiceProcess) -> None:
        worker.send(signal.SIGTERM)
        try:
            code = await worker.exit_code(self._grace)
        except TimeoutError:
            self.faults.append(f"a worker outlived its grace of {self._grace:g} s: {worker.log.name}")
            await worker.end()
        else:
            # -15: the order came before its handlers stood
            if code not in {0, -signal.SIGTERM}:
                self.faults.append(f"a worker ended with {code}: {worker.log.name}")
        self._free.append(port)
