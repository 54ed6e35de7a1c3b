"""A picture in base64, as people and libraries write it in JSON: decoded piece by piece.

Taken are both alphabets, with and without padding and line breaks, and `data:` URLs. JSON's escapes stand
in it too: PHP writes `\\/`, .NET `\\u002B`. Each piece is small, so no call holds the interpreter for long.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from image2model.errors import NotAnImage

_PIECE: Final = 64 << 10
_MOST_HEAD: Final = 512
"""The most bytes of `data:image/png;base64,`."""
_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CUT_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SIMPLE: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"/": b"/"}
_SPACE: Final = b" \t\r\n\f\v"
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_bytes: Final = msgspec.json.Decoder(bytes)


def decoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes that the pieces of a JSON string mean as base64. Raises NotAnImage where they are none."""
    kept = b""
    ended = False
    for piece in _without_head(_unescaped(pieces)):
        text = kept + piece.translate(_STANDARD, _SPACE)
        end = text.find(b"=")
        if end >= 0 or (ended and text):
            ended = True
            if text[max(end, 0) :].strip(b"=") or (end < 0):
                raise _no_base64()
            text = text[:end]
        whole = len(text) - len(text) % 4
        if whole:
            yield _decode(text[:whole])
        kept = text[whole:]
        if ended and kept:
            yield _last(kept)
            kept = b""
    if kept:
        yield _last(kept)


def _last(text: bytes) -> bytes:
    return _decode(text + b"=" * (-len(text) % 4))


def _decode(text: bytes) -> bytes:
    try:
        return _bytes.decode(b'"' + text + b'"')
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise _no_base64() from None


def _no_base64() -> NotAnImage:
    return NotAnImage(
        "`data` is not base64. Send the picture's bytes in base64, alone or behind `data:image/png;base64,`."
    )


def _unescaped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces without JSON's escapes, each of at most `_PIECE` bytes."""
    cut = b""
    for whole in pieces:
        for at in range(0, len(whole), _PIECE):
            piece = cut + whole[at : at + _PIECE]
            cut = b""
            if b"\\" in piece:
                if (found := _CUT_ESCAPE.search(piece)) is not None:
                    cut = piece[found.start() :]
                    piece = piece[: found.start()]
                piece = _ESCAPE.sub(_meaning, piece)
            if piece:
                yield piece
    if cut:
        raise _no_base64()


def _meaning(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        code = int(escape[1], 16)
        return bytes([code]) if code < 128 else b"?"
    return _SIMPLE.get(escape[2], b"?")


def _without_head(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces behind `data:…;base64,`. Raises NotAnImage for a `data:` URL of another kind."""
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= _MOST_HEAD:
            break
    first = first.lstrip(_SPACE)
    if first[:5].lower() == b"data:":
        head, comma, first = first.partition(b",")
        if not comma or not head.lower().rstrip(_SPACE).endswith(b";base64"):
            raise NotAnImage(
                "`data` is a data: URL without base64. Send it as data:image/png;base64,… or as base64 alone."
            )
    if first:
        yield first
    yield from pieces
