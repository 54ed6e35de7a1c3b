"""Gives each picture the place of its model, the same on every run.

Who calls it: `submit`. Two pictures never share a place: the second gets `-2`, the third `-3`. The
ledger knows whose a place is; a file that it does not know belongs to somebody else and is never
replaced.
"""

import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path

import msgspec

from image2model.cli.submit.collect import LEDGER_FOLDER, Found
from image2model.cli.submit.item import text_of


class Place(msgspec.Struct, frozen=True):
    """A place as the ledger knows it: `stem` below the output folder, without a suffix."""

    stem: str
    source: str
    sha256: str


def fold(stem: str) -> str:
    """Equal for stems that a file system may take for one."""
    return stem.casefold()


def assign(pictures: Iterable[Found], known: Mapping[str, Place], out: Path) -> dict[Path, str]:
    """The stem of each picture's model. `known`: the ledger's places by `fold(stem)`."""
    owned = _by_owner(known.values())
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    reserved = set(known)
    for picture in pictures:
        stem = _kept(picture, owned, taken) or _free(picture.wanted, reserved, out)
        taken.add(fold(stem))
        reserved.add(fold(stem))
        stems[picture.path] = stem
    return stems


def _by_owner(places: Iterable[Place]) -> Mapping[str, list[Place]]:
    owned: defaultdict[str, list[Place]] = defaultdict(list)
    for place in places:
        owned[place.source].append(place)
        if not Path(place.source).exists():  # the picture has moved; its content still tells it
            owned[place.sha256].append(place)
    return owned


def _kept(picture: Found, owned: Mapping[str, list[Place]], taken: set[str]) -> str | None:
    """The place that this picture has from an earlier run."""
    fits = re.compile(re.escape(picture.wanted) + r"(-\d+)?").fullmatch
    for place in (*owned.get(text_of(picture.path), ()), *owned.get(picture.sha256, ())):
        if fits(place.stem) and fold(place.stem) not in taken:
            return str(place.stem)
    return None


def _free(wanted: str, taken: set[str], out: Path) -> str:
    for stem in _candidates(wanted):
        if fold(stem) not in taken and not (out / f"{stem}.glb").exists():
            return stem
    raise AssertionError("candidates never end")


def _candidates(wanted: str) -> Iterator[str]:
    yield wanted
    for number in count(2):
        yield f"{wanted}-{number}"


def copy_model(out: Path, model: str, file: str) -> None:
    """From `out/model` to `out/file`. Blocks. Raises OSError."""
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = out / LEDGER_FOLDER / "parts" / f"{secrets.token_hex(8)}.copy"  # two copies may have one name
    shutil.copyfile(out / model, part)
    part.replace(target)
