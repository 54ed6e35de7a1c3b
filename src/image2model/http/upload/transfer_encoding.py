"""The Content-Transfer-Encoding of a part. Pure.

RFC 7578 (section 4.7) has none, but a form that is built as a mail message carries one: base64 if Python's
`email` makes it, and texts of Delphi's Indy are quoted-printable. Others say `binary`, which changes nothing.
"""

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Callable
from typing import Final, Protocol

from image2model.errors import InvalidMultipart

_UNCHANGED: Final = frozenset({"", "7bit", "8bit", "binary"})
_SPACE: Final = re.compile(rb"[ \t\r\n]+")


class Decoder(Protocol):
    """Decodes a payload piece by piece. Both methods raise InvalidMultipart."""

    def feed(self, piece: bytes) -> bytes:
        """The bytes that are complete by now; at most three others wait."""

    def end(self) -> bytes:
        """What waited: the part has ended."""


class _Base64:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._rest + _SPACE.sub(b"", piece)
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        return _from_base64(text[:whole])

    def end(self) -> bytes:
        return _from_base64(self._rest)


def _from_base64(text: bytes) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Error as error:
        raise InvalidMultipart(
            f"A part says `Content-Transfer-Encoding: base64`, and is not base64: {error}. Send the file's "
            "bytes as they are, without this header."
        ) from error


class _QuotedPrintable:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        text = self._rest + piece
        escape = text.rfind(b"=", -2)  # it may go on in the next piece
        whole = len(text) if escape < 0 else escape
        self._rest = text[whole:]
        return a2b_qp(text[:whole])

    def end(self) -> bytes:
        return a2b_qp(self._rest)


_DECODERS: Final[dict[str, Callable[[], Decoder]]] = {"base64": _Base64, "quoted-printable": _QuotedPrintable}


def decoder_of(encoding: str) -> Decoder | None:
    """What decodes a part with this header; None where its payload is as it is. Raises InvalidMultipart."""
    name = encoding.strip().lower()
    if name in _UNCHANGED:
        return None
    if name not in _DECODERS:
        raise InvalidMultipart(
            f"A part has the Content-Transfer-Encoding {name[:40]!r}, which is not known. Send its bytes as "
            "they are, without this header."
        )
    return _DECODERS[name]()
