"""Which IP addresses are public, which URLs may be called, and a resolver that returns public addresses only.

What is not known to be public is refused. Source: the IANA special-purpose address registries.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address in disguise
            "3fff::/20",  # documentation
        ),
    )
)
_REFUSED_V4: Final = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
LOOKUP_TIMEOUT_S: Final = 5.0
_THREADS: Final = 8
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Finds the addresses of a host, as text. Raises OSError."""
MAX_LENGTH: Final = 2048
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HTTPS: Final = 443
_FIRST_UNPRIVILEGED_PORT: Final = 1024
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.ASCII)


def is_public(address: str) -> bool:
    """Whether the text is a literal address, and public unicast.

    IPv4-mapped, 6to4, NAT64 and Teredo addresses are refused, whatever IPv4 address they contain.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed in _UNICAST and parsed.is_global and not any(parsed in net for net in _REFUSED_V6)
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not parsed.is_reserved
        and not any(parsed in net for net in _REFUSED_V4)
    )


def is_address(text: str) -> bool:
    """Whether the text is a literal address rather than a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def url_problem(url: str, *, allow_private: bool) -> str | None:
    """Why the URL may not be called, as a phrase that follows its name; None if it may.

    It must be absolute, https, public as far as its text shows, and without credentials. `allow_private`
    allows http and private addresses too.
    """
    if len(url) > MAX_LENGTH or not _VISIBLE.fullmatch(url):
        return f"must be a URL of at most {MAX_LENGTH} ASCII characters."
    parts = _split(url)
    if parts is None:
        return "is not a valid URL."
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        return f"must be an absolute {' or '.join(schemes)} URL."
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password."
    if not allow_private and _is_private(parts.hostname.lower()):
        return "must be a public internet address."
    if not allow_private and parts.port is not None and not _is_allowed_port(parts.port):
        return "must use port 443, or a port from 1024 up."
    return None


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


def _is_allowed_port(port: int) -> bool:
    return port == _HTTPS or port >= _FIRST_UNPRIVILEGED_PORT


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read because it raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    if is_address(name):
        return not is_public(name)
    # 127.1, 0x7f000001, 2130706433: other spellings of IPv4 addresses that resolvers accept
    return bool(_NUMERIC.fullmatch(host))
