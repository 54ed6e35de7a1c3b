"""The charset of what is not UTF-8: a form's, as browsers say it in the input `_charset_`, or a part's. Pure.

The names are those of the WHATWG Encoding Standard, of which browsers write exactly one spelling. A page that
says ISO-8859-1 gets windows-1252 there.
"""

from typing import Final

FIELD: Final = "_charset_"

_SAME_NAME: Final = (
    *(f"windows-125{number}" for number in range(9)),
    *(f"iso-8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *("koi8-r", "koi8-u", "ibm866", "gbk", "gb18030", "euc-jp"),
)
_CODECS: Final = {
    **{name: name for name in _SAME_NAME},
    "iso-8859-1": "windows-1252",
    "windows-874": "cp874",
    "macintosh": "mac-roman",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
}


_UTF_16: Final = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
"""Of a part alone: no form of a browser is in UTF-16."""


def text_of(value: bytes, codec: str) -> str:
    """The text without a byte order mark: in UTF-16 where the codec is that, else in UTF-8 or by the codec.

    Raises `UnicodeDecodeError`. What says another charset is often UTF-8 all the same.
    """
    if codec in _UTF_16.values():
        return value.decode(codec).removeprefix("\ufeff")
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError:
        return value.decode(codec)


def codec_of_part(charset: str, form: str) -> str:
    """Python's codec for the charset in a part's Content-Type; the form's where there is none."""
    name = charset.strip().lower()
    return _UTF_16.get(name) or _CODECS.get(name, "utf-8" if name else form)


def codec_of(value: bytes) -> str:
    """Python's codec for the field's value; that of UTF-8 for this and for every other name."""
    return _CODECS.get(value.decode("latin-1").strip().lower(), "utf-8")
