"""A Valkey with cluster mode on that serves two slots only: the first cell's, and that of `ROOT`.

All other slots belong to no node, so it refuses every other key, also one that only a script touches. With
all slots on one node it would not: scripts may touch whatever their node has. Who calls it: the tests of a
service on a cluster, and with `pytest --cluster` all tests, in place of the usual server.
"""

from pathlib import Path
from typing import Final

from redis import Redis

from image2model.store.keys import FIRST_CELL
from image2model.store.naming import ROOT
from image2model.up.store import EmbeddedStore
from tests.support.ports import free_port
from tests.support.wait import wait_until

_HOST: Final = "127.0.0.1"


class ClusterStore(EmbeddedStore):
    """One server over `folder`, with one database. Clients use its socket; the ports are for other nodes, of
    which there are none.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder, durable=durable)
        self._ports = free_port(_HOST), free_port(_HOST)

    def wait_ready(self, *, timeout: float = 60.0) -> None:
        """Until it serves its slots. It serves none in the first two seconds after its start."""
        super().wait_ready(timeout=timeout)
        with Redis.from_url(self.url) as client:
            if client.execute_command("CLUSTER INFO")["cluster_slots_assigned"] == "0":
                slots = [client.execute_command("CLUSTER KEYSLOT", name) for name in (FIRST_CELL, ROOT)]
                client.execute_command("CLUSTER ADDSLOTS", *slots)
            wait_until(
                lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", timeout=timeout
            )

    def _options(self) -> tuple[str, ...]:
        port, bus = map(str, self._ports)
        cluster = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
        return (*super()._options(), *cluster, "--bind", _HOST, "--port", port, "--cluster-port", bus)
