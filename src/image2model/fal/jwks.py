"""The public keys of FAL's webhooks, kept for at most a day.

Who calls it: the API's `/webhooks/fal`. Strangers can make it look for new keys, so it does so rarely.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from image2model.errors import FalError
from image2model.fal.webhook import (
    UnknownSigner,
    check_headers,
    decode_webhook,
    public_keys,
    verify_webhook,
)
from image2model.fal.wire import Jwks, WebhookBody

_DAY = 24 * 3600.0
_REFETCH_SECONDS = 60.0
_FAILED_SECONDS = 5.0
"""So long a failure stands for all who ask: they would wait for one another's attempts otherwise."""


class JwksCache:
    """`fetch` is `FalGateway.webhook_keys`. Times are the caller's clock, Unix seconds."""

    def __init__(self, fetch: Callable[[], Awaitable[Jwks]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = float("-inf")
        self._failure: FalError | None = None
        self._failed_at = float("-inf")

    async def verified(self, headers: Mapping[str, str], raw_body: bytes, now: float) -> WebhookBody:
        """The webhook's content once its signature holds.

        Raises WebhookRejected; FalUnreachable or FalTransient when the keys are needed and not to be had.
        """
        check_headers(headers, now)
        keys = await self._fresh(now, at_most=_DAY)
        try:
            verify_webhook(headers, raw_body, keys, now)
        except UnknownSigner:
            renewed = await self._fresh(now, at_most=_REFETCH_SECONDS)
            verify_webhook(headers, raw_body, renewed, now)
        return decode_webhook(raw_body)

    async def _fresh(self, now: float, *, at_most: float) -> tuple[Ed25519PublicKey, ...]:
        async with self._lock:
            if now - self._fetched_at > at_most:
                self._keys = public_keys(await self._ask(now))
                self._fetched_at = now
            return self._keys

    async def _ask(self, now: float) -> Jwks:
        if self._failure is not None and now - self._failed_at < _FAILED_SECONDS:
            raise self._failure.with_traceback(None)
        try:
            return await self._fetch()
        except FalError as error:
            self._failure, self._failed_at = error, now
            raise
