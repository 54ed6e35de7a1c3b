"""An HTTP session that reaches only the addresses that the guard allows.

It follows no redirect and uses no proxy and no cookie; each connection goes to an address that was checked
for it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp
from yarl import URL

from image2model.network.public_addresses import MAX_LENGTH, is_address, is_public, url_problem
from image2model.network.resolver import AddressRefused, Lookup, PublicResolver, SystemLookup

NOT_PUBLIC: Final = "the address is not a public internet address"


class UrlRefused(AddressRefused):
    """The URL's text is not allowed. The message is a phrase that follows the name of the URL."""


class GuardedSession:
    """Use it with `async with`. `lookup` and `allows` replace DNS and the check for public addresses.

    `allow_private` allows http and private addresses, for development only; `allow_http` http alone.
    `most_characters` is the length of the longest URL. `verbatim`: each is sent exactly as it is written,
    because it may be signed.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        allow_http: bool = False,
        most_characters: int = MAX_LENGTH,
        verbatim: bool = False,
        lookup: Lookup | None = None,
        allows: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        decompress: bool = False,
    ) -> None:
        self._allow_private = allow_private
        self._allow_http = allow_http
        self._most_characters = most_characters
        self._verbatim = verbatim
        self._allows = (lambda _: True) if allow_private else allows
        self._system = SystemLookup()
        self._lookup = lookup or self._system
        self._tls = tls
        self._headers = headers
        self._decompress = decompress
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=PublicResolver(self._lookup, self._allows),
            use_dns_cache=False,
            force_close=True,
            limit=0,
            ssl=await asyncio.to_thread(ssl.create_default_context) if self._tls is None else self._tls,
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=self._decompress,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
        self._system.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, shared objects
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        read_bufsize: int = 1 << 16,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and open the response, of any status.

        Raises UrlRefused and AddressRefused (the latter also as the `os_error` of aiohttp's
        ClientConnectorError, if a name has no public address: see `refused`), aiohttp.ClientError, OSError,
        ValueError. Exceptions of the `async with` block's own body pass unchanged.
        """
        target = self._checked(url)
        if self._http is None:
            raise RuntimeError("the session is not open: use it as `async with GuardedSession(…)`")
        response = await self._http.request(
            method,
            target,
            headers=headers,
            data=data,
            timeout=timeout,
            allow_redirects=False,
            read_bufsize=read_bufsize,
        )
        async with response:
            yield response

    def _checked(self, url: str) -> URL:
        problem = url_problem(
            url,
            allow_private=self._allow_private,
            allow_http=self._allow_http,
            most=self._most_characters,
        )
        if problem is not None:
            raise UrlRefused(problem)
        target = URL(url, encoded=self._verbatim)
        # aiohttp does not use the resolver for a literal address
        if target.host and is_address(target.host) and not self._allows(target.host):
            raise AddressRefused(NOT_PUBLIC)
        return target


def refused(failure: BaseException) -> bool:
    """Whether a call failed because its address is not public."""
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    return isinstance(cause, AddressRefused)
