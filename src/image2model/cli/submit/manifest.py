"""The caller's own data on the command line: `--metadata KEY=VALUE`, and the file of `--manifest`.

The file names pictures by their paths, relative to its own folder, where the service's manifest has the
indexes of one upload: `{"files": [{"file": "chair.png", "metadata": {"sku": "A-1"}}]}`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from image2model.cli.submit.collect import Found, absolute
from image2model.cli.submit.item import Item, printable
from image2model.domain import Metadata
from image2model.errors import InvalidParameter
from image2model.jobs.metadata import check_metadata

_EXAMPLE: Final = '{"files": [{"file": "chair.png", "metadata": {"sku": "A-1"}}]}'


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: str
    metadata: object


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: list[_Entry]


class OwnData(msgspec.Struct, frozen=True):
    """The metadata of a batch's job, and of its pictures by their SHA-256."""

    metadata: Metadata = {}
    pictures: dict[str, Metadata] = {}

    @classmethod
    def of(cls, metadata: Metadata, items: Sequence[Item]) -> "OwnData":
        """Of a new batch."""
        return cls(metadata, {item.sha256: item.metadata for item in items if item.metadata})


def pairs(given: Sequence[str]) -> Metadata:
    """The texts `KEY=VALUE` of an option. Raises click.BadParameter."""
    found: Metadata = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r} has no `=`; write KEY=VALUE, such as sku=A-1.")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice; give each key once.")
        found[name] = value
    try:
        return check_metadata(found, "the metadata")
    except InvalidParameter as problem:
        raise click.BadParameter(problem.detail) from problem


def read_manifest(path: Path) -> dict[Path, Metadata]:
    """The metadata of each picture, by its absolute path. Blocks. Raises click.UsageError, OSError."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{printable(path)} must be JSON such as {_EXAMPLE}: {error}") from error
    found: dict[Path, Metadata] = {}
    for entry in manifest.files:
        named = absolute(path.parent / entry.file)
        if named in found:
            raise click.UsageError(f"{printable(path)} names {printable(entry.file)} twice; name it once.")
        try:
            found[named] = check_metadata(entry.metadata, f"the metadata of {printable(entry.file)}")
        except InvalidParameter as problem:
            raise click.UsageError(f"{printable(path)}: {problem.detail}") from problem
    return found


def attach(manifest: Mapping[Path, Metadata], pictures: Sequence[Found], items: Sequence[Item]) -> list[str]:
    """Give each item the metadata of its picture; returns notes on what is left out.

    A picture with several names is one item, and gets what its first name has. Raises click.UsageError for a
    name that is none of the pictures.
    """
    known = {picture.path: picture.sha256 for picture in pictures}
    if missing := [printable(path) for path in manifest if path not in known]:
        raise click.UsageError(f"the manifest names {', '.join(missing)}, which is none of the pictures")
    by_hash: dict[str, list[Item]] = {}
    for item in items:
        by_hash.setdefault(item.sha256, []).append(item)
    first: dict[str, Path] = {}
    notes = []
    for picture in pictures:
        if (metadata := manifest.get(picture.path)) is None:
            continue
        these, earlier = by_hash[picture.sha256], first.setdefault(picture.sha256, picture.path)
        if earlier is picture.path:
            for item in these:
                item.metadata = metadata
        elif metadata != these[0].metadata:
            notes.append(
                f"{printable(picture.given)} is the same picture as {printable(earlier.name)}: they share "
                "one model, which has the metadata of the latter"
            )
    return notes
