"""The service of the day: a durable store, one API, the emulator, Prometheus, and no worker yet.

Who calls it: the driver. Settings are those of production; what is counted in images is divided by as much as
the images are, and FAL is as many times faster as the day is.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.autoscaling.record import Size
from tests.autoscaling.replicas import Replicas
from tests.autoscaling.scaled_object import Rules
from tests.support.crashing_store import CrashingStore
from tests.support.fleet import Fleet, fleet_on
from tests.support.kubernetes import base, environment
from tests.support.ports import free_port, free_ports
from tests.support.privacy import ADMIN_KEY
from tests.support.prometheus import Prometheus, prometheus_of
from tests.support.webhook_receiver import answering, receiving

LEAST_INTERVAL_S: Final = 1.0
"""Between two scrapes and two polls. A scrape may take no longer than that, or its value is missing."""
_SPARE_PORTS: Final = 6
_LOOSE: Final = {
    "I2M_LEASE_SECONDS": "15",
    "I2M_LOG_LEVEL": "info",
    "I2M_RATE_LIMIT": "100000/min",
    "I2M_ADDRESS_RATE_LIMIT": "100000/min",
    "I2M_MAX_QUEUED": "1000000",
    "I2M_ADDRESS_MAX_QUEUED": "1000000",
    "I2M_WEBHOOK_ALLOW_PRIVATE": "1",
    "I2M_FAL_ADMIN_KEY": ADMIN_KEY,
}


class World(msgspec.Struct, frozen=True):
    """All parts, running. `slots`: the images that a worker takes at once; `hook`: a webhook that answers."""

    fleet: Fleet
    replicas: Replicas
    prometheus: Prometheus
    base: str
    slots: int
    hook: str


def interval(size: Size, rules: Rules) -> float:
    """Real seconds between two polls, and between two scrapes."""
    return max(rules.polling / size.factor, LEAST_INTERVAL_S)


@asynccontextmanager
async def world_in(folder: Path, size: Size, rules: Rules) -> AsyncIterator[World]:
    """A running world; at the end every process has ended, and no log holds a secret."""
    shipped, concurrency = environment(base(), "worker"), size.shortened(size.concurrency)
    slots = size.shortened(float(shipped["I2M_WORKER_CONCURRENCY"]))
    settings = {
        **_LOOSE,
        "I2M_FAL_CONCURRENCY": str(concurrency),
        "I2M_MAX_CONCURRENT": str(size.shortened(float(shipped["I2M_MAX_CONCURRENT"]))),
        "I2M_WORKER_CONCURRENCY": str(slots),
    }
    flags = ["--latency", f"{size.latency / size.factor}s", "--concurrency", str(concurrency)]
    flags += ["--result-ttl", f"{size.result_ttl / size.factor}s"]
    async with AsyncExitStack() as stack:
        store = CrashingStore(folder / "store")
        await store.start()
        stack.callback(store.stop)
        fleet = await stack.enter_async_context(fleet_on(store.url, folder, *flags))
        hook = await stack.enter_async_context(receiving(answering("200 OK")))
        port, ports = free_port("127.0.0.1"), free_ports(rules.maximum + _SPARE_PORTS)
        await fleet.start_api(port, **settings)
        replicas = Replicas(fleet, settings, ports, rules.grace)
        stack.push_async_callback(replicas.end)
        targets = {"api": [f"127.0.0.1:{port}"], "worker": [f"127.0.0.1:{one}" for one in ports]}
        every = f"{round(interval(size, rules) * 1000)}ms"
        prometheus = stack.enter_context(prometheus_of(folder, targets, interval=every))
        yield World(fleet, replicas, prometheus, f"http://127.0.0.1:{port}", slots, hook.url)
