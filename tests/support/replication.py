"""A primary, a replica of it and a Sentinel that watches them: real servers on loopback.

Who calls it: tests of failover.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from image2model.up.children import die_with_parent
from image2model.up.store import server_binary
from tests.support.wait import wait_until

_DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
_SENTINEL = """\
port {port}
sentinel monitor mymaster 127.0.0.1 {primary} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
"""


class Replicated:
    """The pair; `url` finds whoever is the primary."""

    def __init__(self, folder: Path, ports: tuple[int, int, int], stack: ExitStack) -> None:
        self._folder = folder
        self._ports = ports
        self._stack = stack
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self._ports[2]}/mymaster"

    @property
    def primary_url(self) -> str:
        return f"redis://127.0.0.1:{self._ports[0]}"

    def start(self, *replica: str) -> None:
        """All three; `replica` are further options of the replica. Returns when they are in step."""
        primary, copy, sentinel = self._ports
        self._server(primary, *_DURABLE)
        self._server(copy, *_DURABLE, "--replicaof", "127.0.0.1", str(primary), *replica)
        wait_until(lambda: self._copies(primary) == ["online"], timeout=20)
        if not replica:  # it confirms no write before its append-only file has all that it has copied
            wait_until(lambda: self._has_on_disk(primary), timeout=20)
        config = self._folder / "sentinel.conf"
        config.write_text(_SENTINEL.format(port=sentinel, primary=primary))
        self._spawn(sentinel, str(config), "--sentinel")
        wait_until(
            lambda: self._about(sentinel, "sentinel").get("master0", {}).get("slaves") == 1, timeout=20
        )

    def primary(self) -> int:
        """The port of the server that Sentinel names; 0 while there is none."""
        named = self._about(self._ports[2], "sentinel").get("master0", {}).get("address", "")
        return int(str(named).rpartition(":")[2] or 0)

    def kill_primary(self) -> None:
        """As a crash would."""
        self._processes[self._ports[0]].kill()
        self._processes[self._ports[0]].wait()

    def kill_replica(self) -> None:
        """As a crash would; what it has is on its disk."""
        self._processes[self._ports[1]].kill()
        self._processes[self._ports[1]].wait()

    def start_replica(self) -> None:
        """Again, with what it had when it ended."""
        primary, copy, _ = self._ports
        self._server(copy, *_DURABLE, "--replicaof", "127.0.0.1", str(primary))

    def stop_replica(self, *, go_on: bool = False) -> None:
        """It hangs; `go_on`: no longer."""
        os.kill(self._processes[self._ports[1]].pid, signal.SIGCONT if go_on else signal.SIGSTOP)

    def _server(self, port: int, *options: str) -> None:
        self._spawn(port, "--port", str(port), "--repl-diskless-sync-delay", "0", *options)

    def _spawn(self, port: int, *options: str) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(server_binary()), *options],
                cwd=folder,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),
            )
        self._processes[port] = process
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)

    def _copies(self, port: int) -> list[str]:
        about = self._about(port, "replication")
        return [copy["state"] for name, copy in about.items() if re.fullmatch(r"slave\d", name)]

    def _has_on_disk(self, port: int) -> bool:
        """Whether the replica confirms a write to this primary."""
        with Redis(port=port, socket_timeout=2) as client:
            client.set("i2m:in-step", 1, ex=60)
            return bool(client.execute_command("WAITAOF", 0, 1, 1000) == [1, 1])

    def _about(self, port: int, section: str) -> dict[str, Any]:
        try:
            with Redis(port=port, socket_timeout=2) as client:
                found: dict[str, Any] = client.info(section)
                return found
        except RedisError:
            return {}


@contextmanager
def replicated(folder: Path, ports: tuple[int, int, int]) -> Iterator[Replicated]:
    """Not started yet; gone afterwards."""
    with ExitStack() as stack:
        yield Replicated(folder, ports, stack)
