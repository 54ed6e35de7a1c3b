"""The charset of a form that is not UTF-8, as browsers say it in the hidden input `_charset_`. Pure.

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


def codec_of(value: bytes) -> str:
    """Python's codec for the field's value; that of UTF-8 for this and for every other name."""
    return _CODECS.get(value.decode("latin-1").strip().lower(), "utf-8")
