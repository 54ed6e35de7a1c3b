"""FAL's own words out of a reply: the sentence to show, the type to decide by, and what they speak of.

Who calls it: every part of the gateway that turns a reply into an error. Pure.
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
_LONGEST = 1000
_POLICY_TYPE: Final = re.compile(r"content_policy|safety|nsfw|moderation", re.IGNORECASE)
_POLICY: Final = re.compile(
    r"\b(content[ _-]?policy|usage polic(y|ies)|safety[ _-]?(violation|filter|polic|guideline|system|check"
    r"(er)?s? (fail|flag|reject|block|trigger|detect))|violat\w+ (our |the )?(safety|content|usage)|nsfw|"
    r"moderat(ed|ion)|(flagged|inappropriate|prohibited|disallowed|unsafe|explicit|harmful|sensitive|"
    r"sexual|offensive) (as|by|content|image|input|material)|not safe for work)",
    re.IGNORECASE,
)
"""FAL's models word it each in their own way; the name of a parameter, `enable_safety_checker`, is not it."""


class Words(msgspec.Struct, frozen=True, omit_defaults=True):
    """`message` is for people, `type` is FAL's error type where it gave one."""

    message: str
    type: str | None = None

    @property
    def on_policy(self) -> bool:
        """Whether they say that the content is not allowed."""
        return speaks_of_policy(self.message, self.type)


def speaks_of_policy(message: str, fal_type: str | None) -> bool:
    """Whether FAL's words say that its content policy forbids the picture."""
    return bool((fal_type and _POLICY_TYPE.search(fal_type)) or _POLICY.search(message))


def words_of(body: bytes, status: int, header_type: str | None = None) -> Words:
    """What an error reply says, whatever its shape; a text that is no JSON is given as it is."""
    found = _said(body, header_type)
    return Words(found.message or f"HTTP {status}", found.type)


def validation_message(body: bytes) -> Words | None:
    """The error that a reply of success speaks of, by `error`, `detail` or `message`.

    None where it does not.
    """
    found = _said(body, None)
    return found if found.message or found.type else None


def error_of(error: msgspec.Raw, error_type: msgspec.Raw) -> Words | None:
    """The words in a status's or a webhook's `error` and `error_type`; None where there are none."""
    message, model_type = _detail(bytes(error))
    fal_type = text_of(error_type) or model_type
    return Words(_shortened(message), fal_type) if message or fal_type else None


def blames_account(said: Words) -> bool:
    """Whether a 403 is about the account: it is locked, or its balance is exhausted."""
    message = said.message.lower()
    return any(words in message for words in _ACCOUNT)


def text_of(raw: msgspec.Raw) -> str | None:
    """A JSON value as text: a string itself, null as None, anything else as its JSON."""
    body = bytes(raw)
    try:
        if body.startswith(b'"'):
            return decode(body, str)
        return None if body == b"null" else body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _said(body: bytes, header_type: str | None) -> Words:
    try:
        failure = decode(body, Failure)
    except (msgspec.DecodeError, RecursionError):
        return Words(_shortened(_plain(body)), header_type)
    for raw in (failure.detail, failure.error, failure.message):
        message, model_type = _detail(bytes(raw))
        if message:
            break
    return Words(_shortened(message), text_of(failure.error_type) or model_type or header_type)


def _detail(detail: bytes) -> tuple[str, str | None]:
    """A text, a list of a model's errors, or an object with a message of its own."""
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


def _plain(body: bytes) -> str:
    if body.lstrip()[:1] == b"<":
        return ""  # a page of some server, no words
    text = body[:_LONGEST].decode("utf-8", "replace").strip()
    try:
        return decode(body, str).strip() if text.startswith('"') else "" if _is_json(text) else text
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


def _is_json(text: str) -> bool:
    return text[:1] in ("{", "[") or text in ("null", "true", "false") or text.lstrip("-")[:1].isdigit()


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class FalThrottled(FalNotAccepted):
    """429 to the submit. `retry_after`: seconds FAL asks to wait, where it said so."""

    def __init__(self, message: str, *, status: int, fal_type: str | None, retry_after: float | None) -> None:
        super().__init__(message, status=status, fal_type=fal_type)
        self.retry_after = retry_after


class FalUnreachable(FalError):
    """The network or FAL's ingress failed: says nothing about the request. Ask again, buy nothing."""


class FalUnreadable(FalUnreachable):
    """In place of a result FAL gave a page, nothing, or a JSON that breaks off."""


class FalAddressRefused(FalError):
    """A file's address is none that the internet can reach, or not https: it is not called."""


class FalUnfinished(FalError):
    """The result was asked for before the request was COMPLETED."""


class FalCancelled(FalError):
    """The request was cancelled and FAL obeyed."""


UNCONFIRMED = "submission_unconfirmed"
_TIMEOUTS = frozenset({"generation_timeout", "request_timeout", "startup_timeout"})


def to_image_failure(error: FalError) -> ImageFailure:
    """The image's failure when `error` is final: its code, FAL's own words, whether a retry may help."""
    code, retryable = _verdict(error)
    return ImageFailure(code, error.message, retryable=retryable, fal_type=error.fal_type)


def _verdict(error: FalError) -> tuple[str, bool]:
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
    if speaks_of_policy(error.message, error.fal_type):
        return "content_policy", False
    return "rejected_by_model", False
