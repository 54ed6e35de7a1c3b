"""Verifies FAL's webhooks, and decodes them.

The signature is ED25519 over `request_id`, `user_id`, `timestamp` and the hex SHA-256 of the raw body, joined
by newlines. A body must never be decoded before its signature is verified.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from image2model.errors import FalError, Image2ModelError
from image2model.fal.wire import Jwks, WebhookBody, decode

TOLERANCE_SECONDS = 300
_PREFIX = "x-fal-webhook-"
_DAY = 24 * 3600.0
_REFETCH_SECONDS = 60.0
_FAILED_SECONDS = 5.0
"""How long a failure is shared by all callers: otherwise they would wait for one another's attempts."""


class WebhookRejected(Image2ModelError):
    """The webhook is not FAL's, too old, or unreadable: answer 401 (400 for the body) and do nothing."""


class UnknownSigner(WebhookRejected):
    """Well formed and timely, but no key verifies it: the keys may have changed."""


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

        Raises WebhookRejected; FalUnreachable or FalTransient where the keys cannot be fetched.
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
                self._keys = public_keys(await self._fetch_keys(now))
                self._fetched_at = now
            return self._keys

    async def _fetch_keys(self, now: float) -> Jwks:
        if self._failure is not None and now - self._failed_at < _FAILED_SECONDS:
            raise self._failure.with_traceback(None)
        try:
            return await self._fetch()
        except FalError as error:
            self._failure, self._failed_at = error, now
            raise


def verify_webhook(
    headers: Mapping[str, str], raw_body: bytes, keys: Iterable[Ed25519PublicKey], now: float
) -> None:
    """Raises WebhookRejected unless one of the keys signed this body within 300 s of `now` (Unix seconds).

    `headers` must be case-insensitive, or have lower-case names.
    """
    request_id, user_id, timestamp, signature = check_headers(headers, now)
    digest = hashlib.sha256(raw_body).hexdigest()
    message = f"{request_id}\n{user_id}\n{timestamp}\n{digest}".encode()
    signed = bytes.fromhex(signature)
    if not any(_verifies(key, signed, message) for key in keys):
        raise UnknownSigner("none of FAL's keys verifies the signature")


def check_headers(headers: Mapping[str, str], now: float) -> tuple[str, str, str, str]:
    """The request id, the user id, the time and the signature. This needs no key, so strangers cost little.

    Raises WebhookRejected where one is missing, the time is not near `now`, or the signature is not hex.
    """
    request_id, user_id, timestamp, signature = (
        _header(headers, name) for name in ("request-id", "user-id", "timestamp", "signature")
    )
    _check_time(timestamp, now)
    try:
        bytes.fromhex(signature)
    except ValueError as error:
        raise WebhookRejected("the signature is not a hexadecimal number") from error
    return request_id, user_id, timestamp, signature


def decode_webhook(raw_body: bytes) -> WebhookBody:
    """The body of a verified webhook. Raises WebhookRejected where it is invalid."""
    try:
        return decode(raw_body, WebhookBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WebhookRejected(f"the body is not a webhook of FAL: {error}") from error


def public_keys(jwks: Jwks) -> tuple[Ed25519PublicKey, ...]:
    """The ED25519 keys of a set; others are skipped."""
    found = (_public_key(key.x) for key in jwks.keys)
    return tuple(key for key in found if key is not None)


def _public_key(x: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
    except (ValueError, binascii.Error):
        return None


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(_PREFIX + name)
    if not value:
        raise WebhookRejected(f"the header {_PREFIX}{name} is missing")
    return value


def _check_time(timestamp: str, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise WebhookRejected("the timestamp is not a number of seconds")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise WebhookRejected(f"the timestamp is more than {TOLERANCE_SECONDS} s away from now")


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
