"""Calls clients' webhook addresses, and trusts none of them.

Who calls it: the task that delivers. Only public addresses by https (unless private ones are allowed), no
redirects, no proxies, no cookies, a deadline on the whole; of the answer only the status is looked at.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from image2model import __version__
from image2model.errors import InvalidParameter
from image2model.service.public_address import is_address, is_public
from image2model.service.webhook_url import check_webhook_url
from image2model.worker.public_resolver import AddressRefused, Lookup, PublicResolver, SystemLookup

DEADLINE_S: Final = 10.0
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"image2model/{__version__}"}
_REFUSED: Final = "the address is not one that the internet can reach"


class Outcome(msgspec.Struct, frozen=True):
    """What came of a call. `error` is None where it was taken: any 2xx."""

    status: int | None
    error: str | None
    duration_ms: int


class WebhookSender:
    """One for each worker process. `lookup` and `allows` stand in for DNS and for what is public."""

    def __init__(
        self,
        *,
        allow_private: bool,
        lookup: Lookup | None = None,
        allows: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._allow_private = allow_private
        self._allows = (lambda _: True) if allow_private else allows
        self._system = SystemLookup()
        self._lookup = lookup or self._system
        self._tls = tls
        self._deadline_s = deadline_s
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
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=self._deadline_s),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
        self._system.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One call. Whatever goes wrong is in the outcome."""
        started = time.monotonic()
        status, error = None, None
        try:
            status = await self._status(url, headers, body)
            error = _complaint(status)
        except InvalidParameter as refused:
            error = refused.detail
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as failure:
            error = _reason(failure)
        return Outcome(status, error, int((time.monotonic() - started) * 1000))

    async def _status(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        if self._http is None:
            raise RuntimeError("the sender is not open: use it as `async with WebhookSender(…)`")
        check_webhook_url(url, allow_private=self._allow_private)
        target = URL(url)
        # aiohttp asks no resolver about a literal address
        if target.host and is_address(target.host) and not self._allows(target.host):
            raise AddressRefused(_REFUSED)
        async with self._http.post(target, headers=headers, data=body, allow_redirects=False) as response:
            return response.status


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


def _reason(failure: Exception) -> str:
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(cause, AddressRefused):
        return _REFUSED
    if isinstance(failure, TimeoutError) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the host's name does not resolve"
    if isinstance(failure, (aiohttp.ClientSSLError, ssl.SSLError)):
        return f"TLS failed: {str(failure)[:200]}"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return "no connection"
    return f"the call broke off: {type(failure).__name__}"
