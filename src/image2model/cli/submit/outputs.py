"""The output folder: the path of each picture's model, the same on every run, and the folder of the ledger.

Two pictures never share a path: the second gets `-2`, the third `-3`. The ledger knows which picture has
claimed a path. A file that it does not know belongs to someone else and is never replaced.
"""

import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import msgspec

from image2model.cli.submit.collect import LEDGER_FOLDER, Found
from image2model.cli.submit.item import text_of
from image2model.cli.submit.options import SharedOptions


class OutputFolder(msgspec.Struct, frozen=True):
    """The output folder of a run, with the ledger's folder in it."""

    out: Path

    @property
    def state(self) -> Path:
        """The ledger's folder."""
        return self.out / LEDGER_FOLDER

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.state / "ledger.db"

    def prepare(self) -> None:
        """Create the folders, and remove unfinished downloads of an interrupted run."""
        parts = self.state / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        for part in parts.iterdir():
            part.unlink()


class Claim(msgspec.Struct, frozen=True):
    """An output path in the ledger: `stem` is below the output folder, without a suffix."""

    stem: str
    source: str
    sha256: str


class Wanted(msgspec.Struct, frozen=True):
    """One model that is wanted of a picture or object. `default_stem`: its path, as of `Found`.

    `variant` counts from 1, and is 0 where there are none.
    """

    found: Found
    options: SharedOptions
    variant: int
    default_stem: str


def wanted(pictures: Iterable[Found], options: Sequence[SharedOptions]) -> list[Wanted]:
    """Each model of the pictures: by each of several models in a folder of its own, and each variant."""
    return [
        Wanted(found, one, variant, _stem(found, one, variant, compared=len(options) > 1))
        for found in pictures
        for one in options
        for variant in (range(1, one.variants + 1) if one.variants else (0,))
    ]


def _stem(found: Found, options: SharedOptions, variant: int, *, compared: bool) -> str:
    folder = f"{options.model.replace('/', '_')}/" if compared else ""
    return folder + found.default_stem + (f"-v{variant}" if variant else "")


def assign(models: Iterable[Wanted], known: Mapping[str, Claim], out: Path) -> list[str]:
    """The stem of each model. `known`: the ledger's claims by `fold(stem)`."""
    owned = _by_owner(known.values())
    stems: list[str] = []
    taken: set[str] = set()
    reserved = set(known)
    for one in models:
        stem = _kept(one, owned, taken) or _free(one.default_stem, reserved, out)
        taken.add(fold(stem))
        reserved.add(fold(stem))
        stems.append(stem)
    return stems


def fold(stem: str) -> str:
    """Equal for stems that a file system may treat as one."""
    return stem.casefold()


def _by_owner(claims: Iterable[Claim]) -> Mapping[str, list[Claim]]:
    owned: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        owned[claim.source].append(claim)
        if not Path(claim.source).exists():  # the picture has moved; its content still identifies it
            owned[claim.sha256].append(claim)
    return owned


def _kept(one: Wanted, owned: Mapping[str, list[Claim]], taken: set[str]) -> str | None:
    """The stem that this model has from an earlier run."""
    fits = re.compile(re.escape(one.default_stem) + r"(-\d+)?").fullmatch
    for claim in (*owned.get(text_of(one.found.source), ()), *owned.get(one.found.sha256, ())):
        if fits(claim.stem) and fold(claim.stem) not in taken:
            return str(claim.stem)
    return None


def _free(default_stem: str, taken: set[str], out: Path) -> str:
    for stem in _candidates(default_stem):
        if fold(stem) not in taken and not (out / f"{stem}.glb").exists():
            return stem
    raise AssertionError("candidates never end")


def _candidates(default_stem: str) -> Iterator[str]:
    yield default_stem
    for number in count(2):
        yield f"{default_stem}-{number}"


def copy_model(out: Path, model: str, file: str) -> None:
    """Copy `out/model` to `out/file`. Blocks. Raises OSError."""
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = out / LEDGER_FOLDER / "parts" / f"{secrets.token_hex(8)}.copy"  # two copies may have one name
    shutil.copyfile(out / model, part)
    part.replace(target)
