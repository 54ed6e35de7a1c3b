"""What `compose.yaml` runs, without containers: nginx, API replicas, a worker, a store, an emulator.

Who calls it: the container tests. The replicas share a port and differ in their address of loopback, as
containers do, and nginx finds them by name.
"""

import asyncio
import http.client
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from tests.support import nginx
from tests.support.dns import NameServer, name_server
from tests.support.fleet import Fleet, fleet_on
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.ports import free_port
from tests.support.secrecy import LEDGER
from tests.support.servers import Address
from tests.support.service_process import ServiceProcess

BASE = "/api/v1"


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    def text(self, name: str) -> str:
        """A text of the document."""
        return str(msgspec.json.decode(self.content, type=dict[str, object])[name])


class Cluster:
    """The world of one test. `replicas` are the API's addresses."""

    def __init__(self, fleet: Fleet, names: NameServer, port: int, replicas: list[str]) -> None:
        self.fleet = fleet
        self.names = names
        self.port = port
        self.replicas = replicas
        self.apis: dict[str, ServiceProcess] = {}
        self.front: nginx.Nginx

    @property
    def address(self) -> Address:
        """Where clients come in."""
        return self.front.address

    def direct(self, host: str) -> Address:
        """A replica's own address, past nginx."""
        return Address(host, self.port)

    async def start(self, host: str) -> None:
        """A replica, ready."""
        self.apis[host] = await self.fleet.start_api(
            self.port,
            I2M_HOST=host,
            I2M_TRUSTED_PROXIES="127.0.0.1",
            I2M_ALLOWED_HOSTS="test,localhost",
            I2M_SHUTDOWN_GRACE="10",
        )

    async def restart(self, host: str) -> None:
        """As an orchestrator does it: SIGTERM, wait for its end, start a new one, wait until it is ready."""
        self.apis[host].send(signal.SIGTERM)
        assert await self.apis[host].exit_code() == 0
        await self.start(host)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        source: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:
        """One request over a connection of its own; `if_none_match=…` becomes a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._request, method, f"{BASE}{path}", body, source, named)

    async def upload(self, body: Body | bytes, **headers: str) -> Answer:
        """Post a batch."""
        return await self.request("POST", "/upload/batch", bytes(body), content_type=CONTENT_TYPE, **headers)

    def _request(
        self, method: str, path: str, body: bytes | None, source: str, headers: dict[str, str]
    ) -> Answer:
        address = self.address
        connection = http.client.HTTPConnection(
            address.host, address.port, timeout=30, source_address=(source, 0)
        )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            LEDGER.note_exchange(headers, dict(answer.getheaders()))
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)
        finally:
            connection.close()


@asynccontextmanager
async def cluster_on(
    redis_url: str,
    folder: Path,
    *flags: str,
    replicas: int = 3,
    workers: int = 1,
    program: Path | None = None,
    **values: str,
) -> AsyncIterator[Cluster]:
    """Everything is ready. `flags` are the emulator's, `values` go into nginx's templates.

    `program` is an nginx older than 1.27.3: it cannot look names up while it runs, so it gets addresses.
    """
    hosts = [f"127.0.1.{number}" for number in range(1, replicas + 1)]
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(fleet_on(redis_url, folder, *flags))
        names = stack.enter_context(name_server("api", hosts))
        cluster = Cluster(fleet, names, free_port(*hosts), hosts)
        for _ in range(workers):
            fleet.start_worker()
        await asyncio.gather(*map(cluster.start, hosts))
        address = Address("127.0.0.1", free_port())
        main = _configuration(folder / "nginx", cluster, address, values)
        if program:
            nginx.write_addresses_for_names(main, hosts)
        cluster.front = stack.enter_context(nginx.running(program or nginx.binary(), main, address))
        yield cluster


def _configuration(run: Path, cluster: Cluster, address: Address, values: dict[str, str]) -> Path:
    run.mkdir()
    own = {
        "I2M_HTTP_LISTEN": f"{address.host}:{address.port}",
        "I2M_RESOLVER": cluster.names.at,
        "I2M_API_PORT": str(cluster.port),
    }
    return nginx.render(run, nginx.variables(run, **own, **values))
