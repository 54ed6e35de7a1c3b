"""The upload's part `manifest`: what the client says about its files, by their index among the `files` parts.

A new member is one more field of `Manifest` and one more row of `_MEMBERS`. Pure. Raises InvalidParameter
with what to do instead.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from image2model.domain import Metadata
from image2model.errors import InvalidParameter
from image2model.jobs.metadata import check_metadata

_EXAMPLE: Final = '{"files": [{"part": 0, "metadata": {"sku": "A-1"}}]}'
_FILE: Final = ("part", "metadata")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: the metadata of each file that has an entry, by the file's index."""

    files: Mapping[int, Metadata] = {}


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


_MEMBERS: Final[Mapping[str, Callable[[object, int], Any]]] = {"files": _files}
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
        raise InvalidParameter(f"{where} needs `part`: the index of a `files` part, the first is 0.")
    if not 0 <= part < parts:
        raise InvalidParameter(
            f"{where} names part {part}, but the upload has {parts} files, which count from 0 to {parts - 1}."
        )
    return part
