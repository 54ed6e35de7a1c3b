"""What an API process owes those who are connected to it when it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.fleet import Fleet
from tests.support.ports import free_port
from tests.support.servers import Address
from tests.support.service_process import ServiceProcess

REQUEST = b"GET /api/v1/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def started(fleet: Fleet) -> AsyncIterator[tuple[ServiceProcess, Address]]:
    """An API process; at the end of the block it has ended as it should."""
    address = Address("127.0.0.1", free_port())
    api = await fleet.start_api(address.port)
    yield api, address
    assert await api.exit_code() == 0


async def test_request_on_a_connection_made_before_the_stop_is_answered(fleet: Fleet) -> None:
    async with started(fleet) as (api, address):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        api.send(signal.SIGTERM)
        await _refuses(address)
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readline()
        await reader.read()
        writer.close()


async def test_whoever_waits_to_be_taken_is_answered(fleet: Fleet) -> None:
    async with started(fleet) as (api, address):
        api.send(signal.SIGSTOP)
        connections = [await asyncio.open_connection(address.host, address.port) for _ in range(50)]
        for _, writer in connections:
            writer.write(REQUEST)
        api.send(signal.SIGTERM)
        api.send(signal.SIGCONT)
        for reader, writer in connections:
            assert b"200 OK" in await reader.readline()
            writer.close()


async def _refuses(address: Address) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.host, address.port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)
