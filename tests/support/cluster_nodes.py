"""A Valkey cluster of three primaries and a replica for each: real servers on loopback.

Who calls it: tests of the service on a cluster. The home cell's slot is one primary's, and that of `ROOT`
another's, so nothing works by the luck of lying together.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from image2model.store.keys import FIRST_CELL
from image2model.store.naming import ROOT
from image2model.up.children import die_with_parent
from image2model.up.store import server_binary
from tests.support.ports import free_ports
from tests.support.wait import wait_until

_HOST: Final = "127.0.0.1"
_FIRST_SLOTS: Final = (0, 7000, 12_000)
"""Of each primary. FIRST_CELL's slot is 6918, and that of ROOT 7599."""
_SLOTS: Final = 16_384
_NODE_TIMEOUT_MS: Final = 1000
_DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class ClusterNodes:
    """`url` names two of the nodes, and clients find the others. `start` returns when all agree."""

    def __init__(self, folder: Path, stack: ExitStack, *, replicas: bool) -> None:
        count = len(_FIRST_SLOTS) * (2 if replicas else 1)
        ports = free_ports(2 * count)
        self._buses = dict(zip(ports[:count], ports[count:], strict=True))
        self._ports = ports[:count]
        self._folder = folder
        self._stack = stack
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def named(self) -> list[int]:
        """The ports of the nodes that `url` names: the second one is `home` at first."""
        return [self._ports[2], self._ports[0]]

    @property
    def url(self) -> str:
        """For `I2M_REDIS_URL`."""
        return "redis+cluster://" + ",".join(f"{_HOST}:{port}" for port in self.named)

    @property
    def home(self) -> int:
        """The port of the primary that serves the service's keys."""
        return self._primary_of(FIRST_CELL)

    @property
    def root(self) -> int:
        """The port of the primary that serves the slot of `ROOT`."""
        return self._primary_of(ROOT)

    @property
    def others(self) -> list[int]:
        """The ports of the primaries that serve none of the service's keys."""
        return [port for port in self._ports[: len(_FIRST_SLOTS)] if port != self.home]

    def start(self) -> None:
        """All nodes, each knowing all others, the replicas in step."""
        for port in self._ports:
            self._spawn(port)
        for port in self._ports:
            wait_until(lambda port=port: self._answers(port), timeout=20)
        primaries = self._ports[: len(_FIRST_SLOTS)]
        for epoch, port in enumerate(primaries, 1):
            first, end = (*_FIRST_SLOTS, _SLOTS)[epoch - 1 : epoch + 1]
            self.ask(port, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            self.ask(port, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for port in self._ports[1:]:
            self.ask(port, "CLUSTER", "MEET", _HOST, self._ports[0], self._buses[self._ports[0]])
        for port in self._ports:
            wait_until(lambda port=port: self._known_to(port) == len(self._ports), timeout=30)
        for port, primary in zip(self._ports[len(_FIRST_SLOTS) :], primaries, strict=False):
            self.ask(port, "CLUSTER", "REPLICATE", self.ask(primary, "CLUSTER", "MYID"))
        for port in self._ports:
            wait_until(lambda port=port: self._is_whole(port), timeout=30)

    def ask(self, port: int, *words: str | int) -> Any:
        """One command to one node."""
        with Redis(_HOST, port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(" ".join(map(str, words[:2])), *words[2:])

    def kill(self, port: int) -> None:
        """As a crash would."""
        self._processes[port].kill()
        self._processes[port].wait()

    def fail_over(self) -> None:
        """The primary of the service's keys dies, and its replica takes its place."""
        dead = self.home
        self.kill(dead)
        wait_until(lambda: self.home != dead, timeout=30)

    def move_home(self, to: int) -> None:
        """The slot of the service's keys, with them, to another primary, while clients use it."""
        slot = self.ask(to, "CLUSTER", "KEYSLOT", FIRST_CELL)
        target = self.ask(to, "CLUSTER", "MYID")
        self.ask(self.home, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target)
        wait_until(lambda: self.home == to, timeout=30)

    def _primary_of(self, name: str) -> int:
        """By the node that answers first."""
        for port in self._ports:
            try:
                slot = self.ask(port, "CLUSTER", "KEYSLOT", name)
                slots = self.ask(port, "CLUSTER", "SLOTS")
            except RedisError:
                continue
            for first, last, primary, *_replicas in slots:
                if first <= slot <= last:
                    return int(primary[1])
        raise AssertionError(f"no node serves {name}")

    def _known_to(self, port: int) -> int:
        return int(self.ask(port, "CLUSTER", "INFO")["cluster_known_nodes"])

    def _is_whole(self, port: int) -> bool:
        with Redis(_HOST, port, socket_timeout=5) as client:
            about, replication = client.execute_command("CLUSTER INFO"), client.info("replication")
        in_step = replication.get("master_link_status", "up") == "up"
        return bool(about["cluster_state"] == "ok" and in_step)

    def _answers(self, port: int) -> bool:
        try:
            return bool(self.ask(port, "CLUSTER", "MYID"))
        except RedisError:
            return False

    def _spawn(self, port: int) -> None:
        folder = self._folder / f"node-{port}"
        folder.mkdir()
        options = {
            "port": port,
            "bind": _HOST,
            "cluster-enabled": "yes",
            "cluster-port": self._buses[port],
            "cluster-node-timeout": _NODE_TIMEOUT_MS,
            "repl-diskless-sync-delay": 0,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(server_binary()), *words, *_DURABLE],
                cwd=folder,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
        self._processes[port] = process
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)


@contextmanager
def cluster_nodes(folder: Path, *, replicas: bool = False) -> Iterator[ClusterNodes]:
    """Started, and gone afterwards."""
    with ExitStack() as stack:
        nodes = ClusterNodes(folder, stack, replicas=replicas)
        nodes.start()
        yield nodes
