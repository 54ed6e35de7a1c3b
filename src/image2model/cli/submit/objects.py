"""Finds the objects of several views of `--views DIR`: which pictures show one thing, and from which side.

Each folder in DIR is an object with its pictures as views. A picture's name may end in a side, as in
`chair_front.jpg`; pictures in DIR itself whose names begin alike and end in a side are one object. What is
unclear is refused before anything is sent: a view left out would be a wrong model, and paid for.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click

from image2model.cli.submit.collect import (
    Collected,
    Found,
    absolute,
    collect,
    found_at,
    is_hidden,
    is_input,
    is_picture,
    order,
)
from image2model.cli.submit.item import FileView, object_name, printable, text_of
from image2model.cli.submit.lists import read_lists, split_lists
from image2model.client.objects import MAX_VIEWS
from image2model.domain import SIDES, object_digest
from image2model.media.heads import WORDS

_HASHERS: Final = 2
_LISTED: Final = 20
_SEPARATORS: Final = " _-"
_WORDS: Final = sorted((side.replace("_", f"[{_SEPARATORS}]") for side in SIDES), key=len, reverse=True)
_SIDE: Final = re.compile(rf"(?:^|(?<=[{_SEPARATORS}]))({'|'.join(_WORDS)})$", re.IGNORECASE)
_DIGITS: Final = re.compile(r"(\d+)")


class _Unclear(Exception):
    """Why something in the folder is no object, in words."""


def collect_with_objects(arguments: Sequence[Path], views: Path | None, *, leave_out: Path) -> Collected:
    """The pictures of the arguments and of the lists among them, and the objects of `views`.

    Blocks. Raises click.UsageError, OSError.
    """
    if views is None and not arguments:
        raise click.UsageError("name a picture, a folder or a list, or a folder of objects with --views")
    lists, rest = split_lists(arguments)
    listed = read_lists(lists)
    collected = collect([*rest, *listed.paths], leave_out=leave_out)
    if listed.addressed:
        pictures = sorted([*collected.pictures, *listed.addressed], key=order)
        collected = Collected(tuple(pictures), collected.skipped)
    if views is None:
        return collected
    objects = collect_objects(views, leave_out=leave_out)
    known = {found.path for found in objects.pictures}
    known |= {view.path for found in objects.pictures for view in found.views}
    pictures = [*objects.pictures, *(one for one in collected.pictures if one.path not in known)]
    return Collected(
        tuple(sorted(pictures, key=order)), tuple(sorted({*collected.skipped, *objects.skipped}))
    )


def collect_objects(folder: Path, *, leave_out: Path) -> Collected:
    """The objects of a folder, and its pictures that name no side. `leave_out`: the output folder.

    Blocks. Raises click.UsageError, which names everything that is wrong; OSError.
    """
    wrong: list[str] = []
    folders: dict[Path, list[Path]] = {}
    groups: dict[str, tuple[Path, list[Path]]] = {}
    loose: list[Path] = []
    skipped: list[Path] = []
    for path in _entries(folder):
        try:
            if path.is_dir():
                if is_input(path, absolute(leave_out)):
                    folders[path] = _views_in(path)
            elif (name := _group(path)) is not None:
                _check_picture(path)
                groups.setdefault(name.casefold(), (folder / name, []))[1].append(path)
            elif is_picture(path):
                loose.append(path)
            else:
                skipped.append(path)
        except _Unclear as problem:
            wrong.append(str(problem))
        except OSError as error:
            wrong.append(f"{printable(error.filename or path)} cannot be read: {error.strerror}")
    found = [*folders.items(), *groups.values()]
    wrong += _problems(found)
    if wrong:
        more = f"\nand {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise click.UsageError("\n".join(wrong[:_LISTED]) + more)
    with ThreadPoolExecutor(_HASHERS) as pool:
        objects = pool.map(lambda one: _object_at(*one), found)
        pictures = pool.map(lambda path: found_at(path, text_of(path.stem)), loose)
        return Collected((*objects, *pictures), tuple(skipped))


def side_of(stem: str) -> tuple[str, str]:
    """The name before a picture's side, and the side; both empty where a name without suffix has none."""
    found = _SIDE.search(stem)
    if found is None:
        return "", ""
    return stem[: found.start()].rstrip(_SEPARATORS), re.sub(f"[{_SEPARATORS}]", "_", found[1].lower())


def _entries(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if not is_hidden(Path(path.name)))


def _views_in(folder: Path) -> list[Path]:
    """The views of a folder's object. Raises _Unclear, OSError."""
    paths = list(_entries(folder))
    for path in paths:
        if path.is_dir():
            raise _Unclear(
                f"{printable(path)} is a folder in the folder of an object: put the object's pictures into "
                f"{printable(folder)} itself"
            )
        _check_picture(path)
    if not paths:
        raise _Unclear(f"{printable(folder)} has no pictures: an object needs at least one view")
    return paths


def _check_picture(path: Path) -> None:
    """Raises _Unclear, OSError."""
    if not is_picture(path):
        raise _Unclear(f"{printable(path)} is not a {WORDS} picture, so its object would lack a view")


def _group(path: Path) -> str | None:
    """The object's name in a name that ends in a side; None where it names no side. Raises _Unclear."""
    name, side = side_of(path.stem)
    if side and not name:
        raise _Unclear(
            f"{printable(path)} names a side and no object: name it as in chair_{side}{path.suffix}, or put "
            "it into a folder with the object's name"
        )
    return name or None


def _problems(objects: Sequence[tuple[Path, Sequence[Path]]]) -> Iterator[str]:
    """What is wrong with the objects, by their paths and views."""
    names: dict[str, Path] = {}
    for path, views in objects:
        if len(views) > MAX_VIEWS:
            yield f"{printable(path)} has {len(views)} pictures: an object takes at most {MAX_VIEWS} views"
        sides: dict[str, Path] = {}
        for view in views:
            _, side = side_of(view.stem)
            if side and (first := sides.setdefault(side, view)) is not view:
                both = f"{printable(first.name)} and {printable(view.name)}"
                yield f"{printable(path)} shows the side {side} twice: {both}"
        if (other := names.setdefault(object_name(path), path)) is not path:
            yield (
                f"{printable(other)} and {printable(views[0])} are two objects of one name at the service: "
                "rename one"
            )


def _object_at(path: Path, views: Sequence[Path]) -> Found:
    """The object of these views, hashed, in the order in which the service takes them. Raises OSError."""
    sides = [*SIDES, ""]
    ordered = sorted(views, key=lambda view: (sides.index(side_of(view.stem)[1]), _natural(view.name)))
    found = [found_at(view, view.stem) for view in ordered]
    named = [side_of(view.stem)[1] for view in ordered]
    return Found(
        path=absolute(path),
        given=path,
        default_stem=text_of(path.name),
        size=sum(one.size for one in found),
        sha256=object_digest(named, [one.sha256 for one in found]),
        views=tuple(FileView(one.path, one.size, side) for one, side in zip(found, named, strict=True)),
    )


def _natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts `view 2` before `view 10`."""
    parts = _DIGITS.split(name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name
