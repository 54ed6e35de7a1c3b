"""Lists of addresses among the paths of the command line: a text file with one a line, or a CSV file.

A CSV file has a header with the column `url`; `filename` names the picture, and every other column is the
picture's metadata. A line that is no address is the path of a picture, relative to the list.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import click
import msgspec

from image2model.cli.submit.collect import Found, is_picture
from image2model.cli.submit.item import printable, upload_name
from image2model.domain import Metadata, PictureAddress
from image2model.network.public_addresses import ascii_url

_SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt"})
_MOST_BYTES: Final = 64 << 20
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_URL, _NAME = "url", "filename"


class ListEntry(msgspec.Struct, frozen=True):
    """One line: an address or a path, the picture's name or nothing, and its metadata."""

    where: str
    name: str = ""
    metadata: Metadata = {}


class Listed(msgspec.Struct, frozen=True):
    """What the lists name: addresses, and paths of pictures."""

    addressed: tuple[Found, ...]
    paths: tuple[Path, ...]


def is_list(path: Path) -> bool:
    """Whether the path is a list: by its suffix, unless it begins as a picture does. Raises OSError."""
    return path.suffix.lower() in _SUFFIXES and path.is_file() and not is_picture(path)


def read_lists(lists: Sequence[Path]) -> Listed:
    """All of their lines. An address that is listed twice is there twice, as a picture with two names is.

    Blocks. Raises click.UsageError with the line, OSError.
    """
    addressed: list[Found] = []
    paths: list[Path] = []
    for path in lists:
        for number, entry in _entries(path):
            if "://" not in entry.where[:10]:
                local = path.parent / entry.where
                if not local.is_file():
                    raise _wrong(path, number, "is neither an address (https://…) nor the path of a picture")
                paths.append(local)
            else:
                addressed.append(_found(path, number, entry))
    return Listed(tuple(addressed), tuple(paths))


def _found(path: Path, number: int, entry: ListEntry) -> Found:
    url = ascii_url(entry.where)
    try:
        parts = urlsplit(url)
        last = unquote(parts.path.rpartition("/")[2])
    except ValueError:
        raise _wrong(path, number, "is no valid address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong(path, number, "must begin with https:// or http://")
    name = Path(upload_name(Path(entry.name or last or "picture")))
    stem = name.stem if name.suffix else name.name
    return Found(
        path=name,
        given=name,
        default_stem=stem,
        size=0,
        sha256=hashlib.sha256(url.encode()).hexdigest(),
        address=PictureAddress(url),
        metadata=entry.metadata,
    )


def _entries(path: Path) -> Iterator[tuple[int, ListEntry]]:
    """The lines with their numbers, from 1."""
    if path.stat().st_size > _MOST_BYTES:
        raise click.UsageError(f"{printable(path)} is larger than {_MOST_BYTES >> 20} MiB; split it")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{printable(path)} is no UTF-8 text; save it as UTF-8") from None
    if path.suffix.lower() == ".txt":
        for number, line in enumerate(text.splitlines(), 1):
            if (where := line.strip()) and not where.startswith("#"):
                yield number, ListEntry(where)
        return
    yield from _rows(path, text)


def _rows(path: Path, text: str) -> Iterator[tuple[int, ListEntry]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # as spreadsheets of any country write it
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    folded = [name.lower() for name in header]
    if folded.count(_URL) != 1:
        raise click.UsageError(f"{printable(path)} needs a first line with the column `{_URL}`")
    for name in header:
        if not _KEY.fullmatch(name):
            raise click.UsageError(
                f"{printable(path)} has a column {name[:80]!r}: a name has 1 to 64 of A-Z a-z 0-9 _ . -"
            )
    try:
        for row in rows:
            values = dict(zip(folded, (value.strip() for value in row), strict=False))
            if where := values.get(_URL):
                own: Metadata = {
                    name: values[key]
                    for name, key in zip(header, folded, strict=True)
                    if key not in (_URL, _NAME) and values.get(key)
                }
                yield rows.line_num, ListEntry(where, values.get(_NAME, ""), own)
    except csv.Error as error:
        raise _wrong(path, rows.line_num, f"cannot be read: {error}") from None


def _wrong(path: Path, number: int, why: str) -> click.UsageError:
    """Without the line itself: an address may be signed."""
    return click.UsageError(f"{printable(path)}, line {number}: {why}")


def split_lists(arguments: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The lists among the arguments, and the rest."""
    lists = [path for path in arguments if is_list(path)]
    return lists, [path for path in arguments if path not in lists]
