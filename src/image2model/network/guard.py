"""An HTTP session that reaches only what the address guard allows.

Who calls it: the sender of webhooks and the downloads of result files from hosts that are not FAL's. No
redirect is followed, no proxy and no cookie used; each connection goes to an address that was checked for it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp
from yarl import URL

from image2model.network.public_addresses import (
    AddressRefused,
    Lookup,
    PublicResolver,
    SystemLookup,
    is_address,
    is_public,
    unfitness,
)

NOT_PUBLIC: Final = "the address is not one that the internet can reach"


class UrlRefused(AddressRefused):
    """The text of the URL is unfit. Its message is to be read behind the URL's name."""


class GuardedSession:
    """Use it as `async with`. `lookup` and `allows` stand in for DNS and for what is public.

    `allow_private` admits http and private addresses: for development only.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        lookup: Lookup | None = None,
        allows: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        decompress: bool = False,
    ) -> None:
        self._allow_private = allow_private
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
        """An open response of any status.

        Raises UrlRefused and AddressRefused (the latter also as the `os_error` of aiohttp's
        ClientConnectorError, where a name leads to no public address: see `refused`), aiohttp.ClientError,
        OSError, ValueError. Only the outermost `async with` may see them: the body's own pass unchanged.
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
        why = unfitness(url, allow_private=self._allow_private)
        if why is not None:
            raise UrlRefused(why)
        target = URL(url)
        # aiohttp asks no resolver about a literal address
        if target.host and is_address(target.host) and not self._allows(target.host):
            raise AddressRefused(NOT_PUBLIC)
        return target


def refused(failure: BaseException) -> bool:
    """Whether a call failed because its address is not public."""
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    return isinstance(cause, AddressRefused)
