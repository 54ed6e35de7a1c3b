"""Names of the models in an archive: safe to unpack on every system, and each one once.

Who calls it: the archive of a job. Pure.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Final

_UNSAFE: Final = re.compile(r'[\\/:*?"<>|]')
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are never seen: control and format characters (right-to-left marks among them)."""
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_MOST_BYTES: Final = 180


def names(files: Iterable[tuple[str, str]]) -> list[str]:
    """For each (picture's file name, format) the model's name: `chair.glb`, and on a clash `chair-2.glb`."""
    taken: set[str] = set()
    return [_free(_stem(filename), suffix, taken) for filename, suffix in files]


def _free(stem: str, suffix: str, taken: set[str]) -> str:
    for number in chain(("",), (f"-{n}" for n in count(2))):
        name = f"{stem}{number}.{suffix}"
        if name.casefold() not in taken:
            taken.add(name.casefold())
            return name
    raise AssertionError("numbers never end")


def _stem(filename: str) -> str:
    text = unicodedata.normalize("NFC", PurePosixPath(filename).stem)
    seen = "".join(char for char in text if unicodedata.category(char) not in _HIDDEN)
    stem = _UNSAFE.sub("_", seen).encode()[:_MOST_BYTES].decode(errors="ignore").strip(". ")
    if not stem:
        return "model"
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem
