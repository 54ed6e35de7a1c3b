"""The upload's part `manifest`: what the client says about its files, by their index among the `files` parts.

A new member is one more field of `Manifest` and one more row of `_MEMBERS`. Pure. Raises InvalidParameter
with what to do instead.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from image2model.domain import SIDES, Metadata
from image2model.errors import InvalidParameter
from image2model.jobs.metadata import check_metadata

_EXAMPLE: Final = '{"files": [{"part": 0, "metadata": {"sku": "A-1"}}]}'
_FILE: Final = ("part", "metadata")
_OBJECT: Final = ("name", "views", "metadata")
_VIEW: Final = ("part", "side")
_MAX_NAME: Final = 80


class ManifestView(msgspec.Struct, frozen=True):
    """One view of an object: the index of its file, and the side that it shows, or empty."""

    part: int
    side: str


class ManifestObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object. Without views it says something about an object of the form's part names."""

    name: str
    views: tuple[ManifestView, ...]
    metadata: Metadata


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: the metadata of each file that has an entry, by the file's index. `objects`: see there."""

    files: Mapping[int, Metadata] = {}
    objects: tuple[ManifestObject, ...] = ()


def read_manifest(text: str, parts: int) -> Manifest:
    """Read the part of an upload of so many files; an empty part is none. Raises InvalidParameter."""
    if not text.strip():
        return Manifest()
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"`manifest` must be JSON such as {_EXAMPLE}: {str(error)[:200]}") from error
    members = _object(value, "`manifest`", _MEMBERS)
    return Manifest(**{name: _MEMBERS[name](member, parts) for name, member in members.items()})


def _files(value: object, parts: int) -> dict[int, Metadata]:
    found: dict[int, Metadata] = {}
    for where, entry in _entries(value, "files"):
        members = _object(entry, where, _FILE)
        part = _part(members, where, parts)
        if part in found:
            raise InvalidParameter(f"{where} names part {part} a second time. Give each file one entry.")
        found[part] = check_metadata(members.get("metadata", {}), f"`metadata` of {where}")
    return found


def _objects(value: object, parts: int) -> tuple[ManifestObject, ...]:
    return tuple(_object_entry(entry, where, parts) for where, entry in _entries(value, "objects"))


def _object_entry(entry: object, where: str, parts: int) -> ManifestObject:
    members = _object(entry, where, _OBJECT)
    name = members.get("name", "")
    if not isinstance(name, str) or len(name) > _MAX_NAME or not name.isprintable() or set(name) & set("[]"):
        raise InvalidParameter(
            f"`name` of {where} must be a text of 1 to {_MAX_NAME} visible characters without brackets."
        )
    name = name.strip()
    views = members.get("views", [])
    if not isinstance(views, list) or not (views or name):
        raise InvalidParameter(
            f'{where} needs `views`, a list such as [{{"part": 0, "side": "front"}}, {{"part": 1}}].'
        )
    return ManifestObject(
        name=name,
        views=tuple(_view(one, f"a view of {where}", parts) for one in views),
        metadata=check_metadata(members.get("metadata", {}), f"`metadata` of {where}"),
    )


def _view(value: object, where: str, parts: int) -> ManifestView:
    members = _object(value, where, _VIEW)
    side = members.get("side") or ""
    if side and side not in SIDES:
        raise InvalidParameter(f"{where} has a side {str(side)[:32]!r}. The sides are: {', '.join(SIDES)}.")
    return ManifestView(_part(members, where, parts), str(side))


_MEMBERS: Final[Mapping[str, Callable[[object, int], Any]]] = {"files": _files, "objects": _objects}
"""How each member is read: its value and the number of files."""


def _object(value: object, where: str, known: Collection[str]) -> dict[str, object]:
    """The members of an object. Raises InvalidParameter, also for a member that is not known."""
    if not isinstance(value, dict):
        raise InvalidParameter(f"{where} must be a JSON object, as in {_EXAMPLE}.")
    for name in value:
        if name not in known:
            words = " and ".join(f"`{one}`" for one in known)
            raise InvalidParameter(
                f"{where} has a member {name[:80]!r}, but this service knows {words} alone."
            )
    return value


def _entries(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Each entry of a list, with its name in a refusal."""
    if not isinstance(value, list):
        raise InvalidParameter(f"`{name}` of `manifest` must be a list, as in {_EXAMPLE}.")
    for index, entry in enumerate(value):
        yield f"`{name}[{index}]` of `manifest`", entry


def _part(members: Mapping[str, object], where: str, parts: int) -> int:
    """The index of a file. Raises InvalidParameter."""
    part = members.get("part")
    if isinstance(part, bool) or not isinstance(part, int):
        raise InvalidParameter(f"{where} needs `part`: the index of a file, the first is 0.")
    if not 0 <= part < parts:
        raise InvalidParameter(
            f"{where} names part {part}, but the upload has {parts} files, which count from 0 to {parts - 1}."
        )
    return part
