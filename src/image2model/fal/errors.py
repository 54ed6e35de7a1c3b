"""FAL's errors: reads the message and type out of any reply, and maps each error to an image's failure.

Pure. FAL, its models and the servers in between word and shape errors in many ways, so reading is lenient.
"""

import re
from typing import Final

import msgspec

from image2model.errors import (
    FalAmbiguous,
    FalError,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    FalTransient,
    ImageFailure,
)
from image2model.fal.wire import Failure, ModelError, decode

_ACCOUNT = ("user is locked", "exhausted balance")
_MAX_LENGTH = 1000
_POLICY_TYPES: Final = re.compile(r"content_policy|safety|nsfw|moderation", re.IGNORECASE)
_POLICY: Final = re.compile(
    r"\b(content[ _-]?policy|usage polic(y|ies)|safety[ _-]?(violation|filter|polic|guideline|system|check"
    r"(er)?s? (fail|flag|reject|block|trigger|detect))|violat\w+ (our |the )?(safety|content|usage)|nsfw|"
    r"moderat(ed|ion)|(flagged|inappropriate|prohibited|disallowed|unsafe|explicit|harmful|sensitive|"
    r"sexual|offensive) (as|by|content|image|input|material)|not safe for work)",
    re.IGNORECASE,
)
"""Each model words this in its own way. The name of a parameter, `enable_safety_checker`, must not match."""
UNCONFIRMED = "submission_unconfirmed"
_TIMEOUTS = frozenset({"generation_timeout", "request_timeout", "startup_timeout"})


class FalThrottled(FalNotAccepted):
    """429 to the submit. `retry_after`: seconds that FAL asks us to wait, if it does."""

    def __init__(self, message: str, *, status: int, fal_type: str | None, retry_after: float | None) -> None:
        super().__init__(message, status=status, fal_type=fal_type)
        self.retry_after = retry_after


class FalUnreachable(FalError):
    """The network or FAL's ingress failed; that says nothing about the request. Call again, buy nothing."""


class FalUnreadable(FalUnreachable):
    """FAL gave a web page, nothing, or broken JSON in place of a result."""


class FalAddressRefused(FalError):
    """A file's address is not public, or not https: it is not called."""


class FalAdminRefused(FalError):
    """FAL refuses the admin key: payloads cannot be deleted."""


class FalFilesLeft(FalError):
    """FAL has deleted a request's payloads, but not all of its files."""


class FalUnfinished(FalError):
    """The result was fetched before the request was COMPLETED."""


class FalCancelled(FalError):
    """FAL has cancelled the request."""


class FalMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error in FAL's reply: `message` is for people, `type` is FAL's error type, if any."""

    message: str
    type: str | None = None

    @property
    def is_policy(self) -> bool:
        """Whether FAL's content policy forbids the picture."""
        return mentions_policy(self.message, self.type)


def message_of(body: bytes, status: int, header_type: str | None = None) -> FalMessage:
    """The error in an error reply of any shape; text that is not JSON is the message itself."""
    found = _parsed(body, header_type)
    return FalMessage(found.message or f"HTTP {status}", found.type)


def error_in_output(body: bytes) -> FalMessage | None:
    """The error in a successful reply's `error`, `detail` or `message`; None where there is none."""
    found = _parsed(body, None)
    return found if found.message or found.type else None


def reported_error(error: msgspec.Raw, error_type: msgspec.Raw) -> FalMessage | None:
    """The error in a status's or a webhook's `error` and `error_type`; None where there is none."""
    message, model_type = _detail(bytes(error))
    fal_type = text_of(error_type) or model_type
    return FalMessage(_shortened(message), fal_type) if message or fal_type else None


def blames_account(found: FalMessage) -> bool:
    """Whether a 403 is about the account: it is locked, or its balance is exhausted."""
    message = found.message.lower()
    return any(phrase in message for phrase in _ACCOUNT)


def mentions_policy(message: str, fal_type: str | None) -> bool:
    """Whether this error says that FAL's content policy forbids the picture."""
    return bool((fal_type and _POLICY_TYPES.search(fal_type)) or _POLICY.search(message))


def to_image_failure(error: FalError) -> ImageFailure:
    """The image's failure when `error` is final: its code, FAL's message, whether a retry may help."""
    code, retryable = _code_and_retryable(error)
    return ImageFailure(code, error.message, retryable=retryable, fal_type=error.fal_type)


def _code_and_retryable(error: FalError) -> tuple[str, bool]:
    if isinstance(error, FalRejected):
        return _rejection(error)
    if isinstance(error, FalAmbiguous):
        return UNCONFIRMED, True
    if isinstance(error, FalCancelled):
        return "cancelled", True
    if isinstance(error, FalResultGone):
        return "result_expired", True
    if isinstance(error, FalTransient) and error.fal_type in _TIMEOUTS:
        return "generation_timeout", True
    return "generation_failed", True


def _rejection(error: FalRejected) -> tuple[str, bool]:
    if error.status is not None and error.status >= 500:
        return "generation_failed", False
    if mentions_policy(error.message, error.fal_type):
        return "content_policy", False
    return "rejected_by_model", False


def _parsed(body: bytes, header_type: str | None) -> FalMessage:
    try:
        failure = decode(body, Failure)
    except (msgspec.DecodeError, RecursionError):
        return FalMessage(_shortened(_plain(body)), header_type)
    for raw in (failure.detail, failure.error, failure.message):
        message, model_type = _detail(bytes(raw))
        if message:
            break
    return FalMessage(_shortened(message), text_of(failure.error_type) or model_type or header_type)


def _detail(detail: bytes) -> tuple[str, str | None]:
    """The message and type in a text, a list of model errors, or an object with a message."""
    try:
        errors = decode(detail, tuple[ModelError, ...])
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        message = "; ".join(error.msg for error in errors if error.msg)
        return message, next((error.type for error in errors if error.type), None)
    try:
        error = decode(detail, ModelError)
    except (msgspec.DecodeError, RecursionError):
        return text_of(msgspec.Raw(detail)) or "", None
    return error.msg or error.message or text_of(msgspec.Raw(detail)) or "", error.type


def text_of(raw: msgspec.Raw) -> str | None:
    """A JSON value as text: a string itself, null as None, anything else as its JSON."""
    body = bytes(raw)
    try:
        if body.startswith(b'"'):
            return decode(body, str)
        return None if body == b"null" else body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _plain(body: bytes) -> str:
    if body.lstrip()[:1] == b"<":
        return ""  # a web page, not a message
    text = body[:_MAX_LENGTH].decode("utf-8", "replace").strip()
    try:
        return decode(body, str).strip() if text.startswith('"') else "" if _is_json(text) else text
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


def _is_json(text: str) -> bool:
    return text[:1] in ("{", "[") or text in ("null", "true", "false") or text.lstrip("-")[:1].isdigit()


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
