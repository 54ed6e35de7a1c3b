"""FAL's webhooks: is this really FAL's word, and what does it say?

The signature is ED25519 over `request_id`, `user_id`, `timestamp` and the hex SHA-256 of the raw body,
joined by newlines. Who calls it: the API's `/webhooks/fal`, through `JwksCache`. It must never decode a
body before its signature is checked.
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


class WebhookRejected(Image2ModelError):
    """Not FAL's, or too old, or unreadable: answer 401 (400 for the body) and do nothing."""


class UnknownSigner(WebhookRejected):
    """Well formed and timely, but no key verifies it: the keys may have changed."""


def verify_webhook(
    headers: Mapping[str, str], raw_body: bytes, keys: Iterable[Ed25519PublicKey], now: float
) -> None:
    """Raises WebhookRejected unless one of the keys signed this body within 300 s of `now` (Unix seconds).

    `headers` must look names up without regard to case, or have them in lower case.
    """
    request_id, user_id, timestamp, signature = check_headers(headers, now)
    digest = hashlib.sha256(raw_body).hexdigest()
    message = f"{request_id}\n{user_id}\n{timestamp}\n{digest}".encode()
    signed = bytes.fromhex(signature)
    if not any(_verifies(key, signed, message) for key in keys):
        raise UnknownSigner("no key of FAL's verifies the signature")


def check_headers(headers: Mapping[str, str], now: float) -> tuple[str, str, str, str]:
    """The id of the request, of the user, the time and the signature; no key is needed to tell a stranger.

    Raises WebhookRejected where one is missing, the time is not about `now`, or the signature no number.
    """
    request_id, user_id, timestamp, signature = (
        _header(headers, name) for name in ("request-id", "user-id", "timestamp", "signature")
    )
    _check_time(timestamp, now)
    try:
        bytes.fromhex(signature)
    except ValueError as error:
        raise WebhookRejected("the signature is no hexadecimal number") from error
    return request_id, user_id, timestamp, signature


def decode_webhook(raw_body: bytes) -> WebhookBody:
    """The body of a verified webhook. Raises WebhookRejected when it is none."""
    try:
        return decode(raw_body, WebhookBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WebhookRejected(f"the body is no webhook of FAL's: {error}") from error


def public_keys(jwks: Jwks) -> tuple[Ed25519PublicKey, ...]:
    """The usable keys of a set; what is no ED25519 key is passed over."""
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
        raise WebhookRejected("the timestamp is no number of seconds")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise WebhookRejected(f"the timestamp is more than {TOLERANCE_SECONDS} s away from now")


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


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
