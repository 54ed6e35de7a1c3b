"""One picture or object of a run, and file names as text.

A file system holds names as bytes: not all of them are UTF-8, and some contain commands to a terminal. Names
are converted here before they go to the ledger, to the service or to the screen.
"""

import os
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from image2model.cli.submit.options import SharedOptions
from image2model.client.documents import Image
from image2model.client.multipart import Address, Picture
from image2model.client.objects import Object, View
from image2model.domain import Metadata, PictureAddress

ADDRESS_HASH: Final = "address_sha256"
"""In the metadata of a picture by address: by it the command finds its image again, whose content it does not
know.
"""
_MAX_NAME_BYTES: Final = 200
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_INVISIBLE: Final = frozenset({"Cc", "Zl", "Zp"})
_BRACKETS: Final = {"[": "(", "]": ")"}
_MAX_OBJECT_NAME: Final = 80
_REPLACEMENT: Final = "\ufffd"


class Outcome(StrEnum):
    """How an item ended."""

    PENDING = "pending"
    SAVED = "saved"
    KEPT = "kept"
    FAILED = "failed"


class FileView(msgspec.Struct, frozen=True):
    """One picture of an object on disk, `size` in bytes. `side`: the side that its name says, or empty."""

    path: Path
    size: int
    side: str = ""


class Item(msgspec.Struct, eq=False):
    """What becomes one model: a picture, or an object of several `views`.

    `sha256` and `size` are of all views; of a picture by `address` it is the address's, and `path` is its
    name. `stems`: where its model goes, once for each picture with this
    content. `cost_usd` in dollars.

    `own`: this run sends it, or runs it again after `before_usd` were spent; else an earlier run sent it.
    `variant` counts from 1, and is 0 where there are none.
    `given`: its path as the person wrote it, for messages; `path` is absolute.
    """

    sha256: str
    path: Path
    given: Path
    size: int
    stems: list[str]
    outcome: Outcome = Outcome.PENDING
    files: list[str] = []
    code: str = ""
    reason: str = ""
    cost_usd: float = 0.0
    own: bool = True
    before_usd: float = 0.0
    image: Image | None = None
    job_id: str | None = None
    metadata: Metadata = {}
    views: tuple[FileView, ...] = ()
    options: SharedOptions = SharedOptions()
    variant: int = 0
    address: PictureAddress | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Which model it is: of what, by which model, and which variant."""
        return self.sha256, self.options.model, self.variant

    @property
    def name(self) -> str:
        """Its name at the service."""
        return object_name(self.path) if self.views else upload_name(self.path)

    @property
    def view_names(self) -> list[str]:
        """The names of an object's pictures at the service; none of a plain picture."""
        return [upload_name(view.path) for view in self.views]

    @property
    def source(self) -> Picture | Address | Object:
        """What to upload."""
        return self.source_as(self.name, self.view_names, self.metadata)

    def source_as(
        self, name: str, view_names: Sequence[str], metadata: Metadata
    ) -> Picture | Address | Object:
        """What to upload, under the names that an earlier run has sent it with."""
        if self.address is not None:
            return Address(self.address.url, name, {**metadata, ADDRESS_HASH: self.sha256})
        views = self.views or (FileView(self.path, self.size),)
        if not view_names:
            (only,) = views
            return Picture(name=name, size=only.size, path=only.path, metadata=metadata)
        pictures = [
            View(Picture(name=one, size=view.size, path=view.path), view.side)
            for one, view in zip(view_names, views, strict=True)
        ]
        return Object(name, pictures, metadata)

    @property
    def bought_usd(self) -> float:
        """The part of its cost that this run has paid."""
        return max(0.0, self.cost_usd - self.before_usd) if self.own else 0.0

    def begin(self, *, own: bool) -> None:
        """Its batch starts."""
        self.own, self.cost_usd, self.before_usd = own, 0.0, 0.0

    def run_again(self, spent: float | None) -> None:
        """This run pays for another attempt; earlier ones have cost `spent`."""
        self.own, self.before_usd = True, spent or 0.0

    def fail(self, code: str, reason: str) -> None:
        """Its end is a failure, with this reason."""
        self.outcome, self.code, self.reason = Outcome.FAILED, code, reason


def content_of(image: Image) -> str | None:
    """The `sha256` of the item that an image was made of."""
    address = image.metadata.get(ADDRESS_HASH)
    return address if isinstance(address, str) else image.sha256


def text_of(path: str | Path) -> str:
    """The path with invalid UTF-8 replaced: SQLite, JSON and multipart accept nothing else."""
    return os.fsencode(path).decode(errors="replace")


def printable(path: str | Path) -> str:
    """`text_of`, on one line and without control characters of a terminal."""
    return "".join(_REPLACEMENT if _is_invisible(char) else char for char in text_of(path))


def upload_name(path: Path) -> str:
    """The name to upload: the service keeps it unchanged, so that its answer can be matched by name."""
    visible = (
        "".join(char for char in text_of(path.name) if not _is_invisible(char)).replace("\\", "_").strip()
    )
    suffix = Path(visible).suffix if len(Path(visible).suffix.encode()) <= 8 else ""
    stem = (
        visible.removesuffix(suffix)
        .encode()[: _MAX_NAME_BYTES - len(suffix.encode())]
        .decode(errors="ignore")
    )
    return (stem + suffix).strip() or "picture"


def object_name(path: Path) -> str:
    """The name of the object of a folder: one that part names of the form can hold, at most 80 characters."""
    spaced = "".join(" " if char.isspace() else char for char in upload_name(path))
    name = "".join(_BRACKETS.get(char, char) for char in spaced if char.isprintable())
    return name[:_MAX_OBJECT_NAME].strip() or "object"


def things(items: Sequence[Item]) -> str:
    """What to call them: pictures, or objects where some have several views."""
    return "object" if any(item.views for item in items) else "picture"


def _is_invisible(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in _INVISIBLE
