"""Calls clients' webhook addresses, and trusts none of them.

Who calls it: the task that delivers. Only what the address guard allows, no redirects, a deadline on the
whole; of the answer only the status is looked at.
"""

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from image2model import __version__
from image2model.network.guard import NOT_PUBLIC, GuardedSession, UrlRefused, refused
from image2model.network.public_addresses import Lookup, is_public
from image2model.store.secret import WEBHOOK_PREFIX

DEADLINE_S: Final = 10.0
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"image2model/{__version__}"}


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
        self._session = GuardedSession(
            allow_private=allow_private, lookup=lookup, allows=allows, tls=tls, headers=_HEADERS
        )
        self._timeout = aiohttp.ClientTimeout(total=deadline_s)

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.__aexit__()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One call. Whatever goes wrong is in the outcome."""
        started = time.monotonic()
        status, error = None, None
        try:
            async with self._session.request(
                "POST", url, headers=headers, data=body, timeout=self._timeout
            ) as response:
                status = response.status
            error = _failure_text(status)
        except UrlRefused as unfit:
            error = f"`webhook_url` {unfit}"
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as failure:
            error = _reason(failure)
        return Outcome(status, error, int((time.monotonic() - started) * 1000))


def _failure_text(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


def _reason(failure: Exception) -> str:
    if refused(failure):
        return NOT_PUBLIC
    cause = failure.os_error if isinstance(failure, aiohttp.ClientConnectorError) else failure
    if isinstance(failure, TimeoutError) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "the host's name does not resolve"
    if isinstance(failure, (aiohttp.ClientSSLError, ssl.SSLError)):
        return f"TLS failed: {str(failure)[:200]}"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return "no connection"
    return f"the call broke off: {type(failure).__name__}"


def signed_headers(secret: str, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt. `secret` is `whsec_` and base64, `at_s` seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(WEBHOOK_PREFIX) + "==")
    signed = f"{message_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }
