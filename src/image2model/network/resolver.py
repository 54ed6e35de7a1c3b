"""Resolves the names of hosts that clients chose, and returns only the addresses that may be called."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUP_TIMEOUT_S: Final = 5.0
_THREADS: Final = 8
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host, as text. Raises OSError."""


class AddressRefused(OSError):
    """The host has no address that may be called."""


class SystemLookup:
    """The system's resolver in threads of its own, so that a silent name server blocks nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host. Raises OSError if the name does not exist."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(sockaddr[0]) for *_, sockaddr in found]

    def close(self) -> None:
        """Stop without waiting for lookups that still run."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PublicResolver(AbstractResolver):
    """Resolves names to allowed addresses only. `allows` decides about each address."""

    def __init__(self, lookup: Lookup, allows: Callable[[str], bool]) -> None:
        self._lookup = lookup
        self._allows = allows

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """The allowed addresses of a name, of both families.

        Raises AddressRefused if there is none, OSError, TimeoutError.
        """
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            found = await self._lookup(host, port)
        allowed = [address for address in found if self._allows(address)]
        if not allowed:
            raise AddressRefused(f"{host} has no public address")
        return [_result(host, address, port) for address in allowed]

    async def close(self) -> None:
        """Nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
