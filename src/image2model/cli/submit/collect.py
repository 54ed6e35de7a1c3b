"""Finds the pictures among the paths of the command line, by their content and never by their name.

In a folder, files that are not pictures are skipped; a path that was named itself must be a picture.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

import click
import msgspec

from image2model.cli.submit.item import FileView, printable, text_of
from image2model.domain import Metadata, PictureAddress
from image2model.media.heads import WORDS, may_be_picture

LEDGER_FOLDER: Final = ".image2model"
_SYSTEM_FILES: Final = frozenset({"thumbs.db", "desktop.ini"})
_HEAD: Final = 32
_HASHERS: Final = 2


class Found(msgspec.Struct, frozen=True):
    """A picture on disk, or an object of several `views`. `default_stem` is its model's path below the output
    folder, without a suffix.

    `path` is absolute and identifies the picture or object; `given` is the path as the person wrote it. Of a
    picture by `address`, `sha256` is that of the address, and `path` its name.
    """

    path: Path
    given: Path
    default_stem: str
    size: int
    sha256: str
    views: tuple[FileView, ...] = ()
    address: PictureAddress | None = None
    metadata: Metadata = {}

    @property
    def source(self) -> Path:
        """What claims its output paths: the file; of an address its hash, because it may be signed."""
        return self.path if self.address is None else Path(f"address:{self.sha256}")


class Collected(msgspec.Struct, frozen=True):
    """The pictures and objects, and the skipped files of folders, without hidden files and those of the
    system.
    """

    pictures: tuple[Found, ...]
    skipped: tuple[Path, ...]


def collect(arguments: Sequence[Path], *, leave_out: Path) -> Collected:
    """All pictures, each once, in an order that does not depend on the arguments.

    `leave_out`: the output folder, whose files are never input. Raises click.UsageError.
    """
    found: dict[Path, tuple[Path, str]] = {}
    skipped: set[Path] = set()
    wrong: list[str] = []
    for argument in arguments:
        for path, default_stem in below(argument, absolute(leave_out)):
            if is_picture(path):
                found.setdefault(absolute(path), (path, default_stem))
            elif argument.is_dir():
                if not is_hidden(path.relative_to(argument)):
                    skipped.add(path)
            else:
                wrong.append(printable(argument))
    if wrong:  # all at once: a shell's `*.jpg` may name hundreds
        names = ", ".join(dict.fromkeys(wrong))
        kind = f"is not a {WORDS} picture" if len(wrong) == 1 else f"are not {WORDS} pictures"
        raise click.UsageError(f"{names} {kind}")
    with ThreadPoolExecutor(_HASHERS) as pool:
        pictures = tuple(pool.map(lambda one: found_at(*one), found.values()))
    return Collected(tuple(sorted(pictures, key=order)), tuple(sorted(skipped)))


def is_picture(path: Path) -> bool:
    """Whether the file begins as a picture does. Raises OSError."""
    with path.open("rb") as file:
        return may_be_picture(file.read(_HEAD))


def below(argument: Path, leave_out: Path) -> Iterator[tuple[Path, str]]:
    """The files of a path, each with its `Found.default_stem`; `leave_out` is absolute."""
    if not argument.is_dir():
        yield argument, text_of(argument.with_suffix("").name)
        return
    for folder, folders, files in os.walk(argument):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if is_input(here / name, leave_out))
        for name in sorted(files):
            path = here / name
            if path.is_file():
                yield path, text_of(str(PurePosixPath(path.relative_to(argument)).with_suffix("")))


def is_hidden(path: Path) -> bool:
    """Hidden, or a file that Windows leaves in folders."""
    return path.name.lower() in _SYSTEM_FILES or any(part.startswith(".") for part in path.parts)


def is_input(folder: Path, leave_out: Path) -> bool:
    """Whether the folder may hold pictures; `leave_out`, the output folder, is absolute."""
    return folder.name != LEDGER_FOLDER and absolute(folder) != leave_out


def absolute(path: Path) -> Path:
    """Without `..`, so that one file has one name; symbolic links are kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`


def found_at(path: Path, default_stem: str) -> Found:
    """The picture at this path, as it was given, hashed. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Found(
        path=absolute(path), given=path, default_stem=default_stem, size=path.stat().st_size, sha256=digest
    )


def order(picture: Found) -> tuple[str, str]:
    """The key of an order that does not depend on the arguments."""
    return picture.default_stem, str(picture.path)
