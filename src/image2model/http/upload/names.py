"""The names in a part's Content-Disposition, as many clients write them.

RFC 7578 and RFC 8187 say how a file's name is written; the HTML standard, older mail software and several
libraries write it otherwise. What is certain is read; everything else is kept as it came. All functions get
the header's bytes as Latin-1.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from email.header import decode_header
from typing import Final
from urllib.parse import quote, unquote_to_bytes

MAX_NAME_BYTES: Final = 200
"""Longest name in UTF-8 bytes; file systems stop at 255, and a suffix must still fit."""

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# A value in quotes ends at a quote behind which the header ends or another parameter begins, because several
# libraries do not escape quotes. One without quotes ends where another parameter begins: libsoup leaves `;`
# and `"` in it as they are, others spaces. One without an end goes on to the header's: so each byte is looked
# at once.
_PARAMETER: Final = re.compile(
    rf""";\s*+({_WORD})\s*+=\s*+
    (?:"((?:\\.|[^"\\]|"(?!\s*+(?:;\s*+{_WORD}\s*+=|;?\s*+\Z)))*+)(?:"|\Z)
      |((?:[^;]|;(?!\s*+(?:{_WORD}\s*+=|\Z)))*+))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\([\"\\])")
_LOST: Final = "\ufffd"
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)
_ENCODED_WORDS: Final = re.compile(r"\s*(=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=\s*)+")
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_UNENCODED: Final = ("", "!'()*")
"""What clients that percent-encode a whole name leave as it is: aiohttp; encodeURIComponent of JavaScript."""


def names_of(disposition: str, charset: str = "utf-8") -> tuple[str, str | None]:
    """The part's name, and the name of its file: empty where it has none, None where the part is no file.

    `filename*` and `name*` win, wherever they stand outside quotes. `charset`: a codec for what is not UTF-8.
    """
    found: dict[str, str] = {}
    for key, value in parameters(disposition):
        found.setdefault(key, value)
    return _either(found, "name", charset) or "", _either(found, "filename", charset)


def _either(found: Mapping[str, str], key: str, charset: str) -> str | None:
    """The parameter by its extended form, unless characters were lost in that one: older .NET encodes the
    halves of a surrogate pair one by one."""
    plain = None if key not in found else _plain(found[key], charset)
    extended = _EXTENDED.fullmatch(found.get(f"{key}*", ""))
    if extended is None:
        return plain
    text = unquote_to_bytes(extended[2]).decode(extended[1], "replace")
    return plain if plain and _LOST in text and _LOST not in plain else text


def _text(value: bytes, charset: str) -> str:
    """The text: UTF-8, else by the codec `charset`; what neither can read becomes U+FFFD."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode(charset, "replace")


def parameters(header: str) -> Iterator[tuple[str, str]]:
    """The parameters of a header's value, their names in lower case."""
    for match in _PARAMETER.finditer(header):
        quoted, token = match[2], match[3]
        yield match[1].lower(), token.rstrip() if quoted is None else _ESCAPED.sub(r"\1", quoted)


def _plain(value: str, charset: str) -> str:
    """A name that is not in the extended form: as text, or in one of the two codes that are certain."""
    if _ENCODED_WORDS.fullmatch(value) and (decoded := _encoded_words(value)) is not None:
        return decoded
    text = _text(value.encode("latin-1"), charset)
    if "%" not in text:
        return text
    if _PERCENT.search(text) and text.isascii():
        raw = unquote_to_bytes(text)
        # a client that encodes all of it: then the same comes out again, and nobody names a file so by hand
        if not raw.isascii() and any(quote(raw, safe=kept) == text for kept in _UNENCODED):
            return raw.decode("utf-8", "replace")
    # all that the HTML standard encodes
    return text.replace("%22", '"').replace("%0D", "").replace("%0A", "")


def _encoded_words(value: str) -> str | None:
    """RFC 2047, which does not belong here, but older .NET and Unity write it."""
    try:
        pieces = [
            piece.decode(charset or "ascii") if isinstance(piece, bytes) else piece
            for piece, charset in decode_header(value.strip())
        ]
    except (ValueError, LookupError):
        return None
    return "".join(pieces)


def display_name(filename: str | None, index: int) -> str:
    """The name to show for the file at `index` (0-based) of its batch.

    The last segment of a path, without control characters, of at most `MAX_NAME_BYTES`. Where nothing is left
    of a name it becomes `image-<n>`, counted from 1.
    """
    return _shortened(_last_segment(_visible(filename or ""))) or f"image-{index + 1}"


def _visible(name: str) -> str:
    if name.isprintable():  # then it has none of those characters
        return name
    return "".join(char for char in name if char not in _BIDI and unicodedata.category(char) not in _UNSEEN)


def _last_segment(name: str) -> str:
    segment = re.split(r"[/\\]", name)[-1].strip()
    return "" if segment in {".", ".."} else segment


def _shortened(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    suffix = (dot + extension).encode() if stem and len(extension) <= 8 else b""
    kept = encoded[: MAX_NAME_BYTES - len(suffix)].decode("utf-8", "ignore")
    return kept + suffix.decode()
