"""Signed, expiring tokens for `GET /files/{token}`.

Called by the download (sign) and by the files route (verify). A token grants one file until a moment; it
carries everything it grants, so nothing is looked up. The same arguments give the same token, so a
caller that rounds `expires_at` gets URLs that caches can keep.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from image2model.errors import Expired, NotFound

# Half of SHA-256: 128 bits cannot be guessed, and keep the URL short (RFC 2104, section 5).
_TAG_BYTES = 16
_CONTEXT = b"image2model files token v1\x00"
_MAX_TOKEN = 4096


class FileGrant(msgspec.Struct, frozen=True, array_like=True):
    """What a token grants: one object, under a name and a type, until `expires_at` (Unix seconds)."""

    key: str
    filename: str
    content_type: str
    expires_at: int


_grant = msgspec.msgpack.Decoder(FileGrant)


def sign(secret: bytes, key: str, filename: str, content_type: str, expires_at: int) -> str:
    """A URL-safe token for one object. `expires_at` is in Unix seconds."""
    grant = msgspec.msgpack.encode(FileGrant(key, filename, content_type, expires_at))
    return base64.urlsafe_b64encode(_tag(secret, grant) + grant).rstrip(b"=").decode()


def verify(secret: bytes, token: str, now: float) -> FileGrant:
    """What the token grants. Raises NotFound unless `secret` signed it, Expired from `expires_at` on."""
    raw = _raw(token)
    tag, grant = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(secret, grant)):
        raise NotFound("There is no such file. Take the link from the download again.")
    granted = _grant.decode(grant)
    if now >= granted.expires_at:
        raise Expired("This link has expired. Take it from the download again.")
    return granted


def _tag(secret: bytes, grant: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + grant, hashlib.sha256)[:_TAG_BYTES]


def _raw(token: str) -> bytes:
    if len(token) > _MAX_TOKEN:
        return b""
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
    # One token for one grant: the last character's unused bits must not make a second spelling.
    canonical = base64.urlsafe_b64encode(raw).rstrip(b"=") == token.encode()
    return raw if canonical else b""
