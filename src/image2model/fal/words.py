"""FAL's own words out of an error reply: the sentence to show, and the type to decide by.

Who calls it: every part of the gateway that turns a reply into an error. Pure.
"""

import msgspec

from image2model.fal.wire import Failure, ModelError, decode

_ACCOUNT = ("user is locked", "exhausted balance")
_LONGEST = 1000


class Words(msgspec.Struct, frozen=True):
    """`message` is for people, `type` is FAL's error type where it gave one."""

    message: str
    type: str | None = None


def words_of(body: bytes, status: int, header_type: str | None = None) -> Words:
    """What an error reply says, whatever its shape; a text that is no JSON is given as it is."""
    try:
        failure = decode(body, Failure)
    except msgspec.DecodeError:
        return Words(_shortened(_plain(body)) or f"HTTP {status}", header_type)
    message, model_type = _detail(bytes(failure.detail))
    found = failure.error_type or model_type or header_type
    return Words(_shortened(message) or f"HTTP {status}", found)


def blames_account(said: Words) -> bool:
    """Whether a 403 is about the account: it is locked, or its balance is exhausted."""
    message = said.message.lower()
    return any(words in message for words in _ACCOUNT)


def text_of(raw: msgspec.Raw) -> str | None:
    """A JSON value as text: a string itself, null as None, anything else as its JSON."""
    body = bytes(raw)
    try:
        return decode(body, str) if body.startswith(b'"') else None if body == b"null" else body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _detail(detail: bytes) -> tuple[str, str | None]:
    try:
        errors = decode(detail, tuple[ModelError, ...])
    except msgspec.DecodeError:
        return text_of(msgspec.Raw(detail)) or "", None
    message = "; ".join(error.msg for error in errors if error.msg)
    return message, next((error.type for error in errors if error.type), None)


def _plain(body: bytes) -> str:
    return body[:_LONGEST].decode("utf-8", "replace").strip()


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
