"""The objects of an upload: which files are views of one object, by part name or by manifest.

A picture in a part `files` that no manifest groups is an object of one view. Pure. Raises InvalidParameter
with what to do instead, and TooManyFiles.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

import msgspec

from image2model.domain import SIDES, Metadata, RejectedFile, object_digest
from image2model.errors import InvalidParameter
from image2model.http.upload import MAX_VIEWS, AddressedFile, BadFile, Place, ReceivedBatch, ReceivedFile
from image2model.http.upload.reader import too_many_objects
from image2model.jobs.manifest import Manifest

_ORDER: Final[Mapping[str, int]] = {side: index for index, side in enumerate((*SIDES, ""))}


GoodFile = ReceivedFile | AddressedFile


class ReceivedObject(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes one model: its views, named sides first in the order of `SIDES`, then in the form's order.

    `name`: the object's, or the file's where it is one picture. `grouped`: the client made it an object.
    """

    name: str
    views: tuple[GoodFile, ...]
    sides: tuple[str, ...]
    grouped: bool
    metadata: Metadata = {}

    @property
    def index(self) -> int:
        """Of its first file in the form."""
        return min(view.index for view in self.views)

    @property
    def received(self) -> tuple[ReceivedFile, ...]:
        """The views that came with the request; the others are fetched later."""
        return tuple(view for view in self.views if isinstance(view, ReceivedFile))

    @property
    def whole(self) -> bool:
        """Whether all of it is here, so that its content is known."""
        return len(self.received) == len(self.views)

    @property
    def size(self) -> int | None:
        """Bytes of all views; None while one of them is not fetched, as below."""
        return sum(view.size for view in self.received) if self.whole else None

    @property
    def sha256(self) -> str | None:
        """The picture's own where it is one without a side, else of all views with their sides."""
        return object_digest(self.sides, [view.sha256 for view in self.received]) if self.whole else None


class BadObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object with a file that cannot be used. `code` and `detail` are its first bad file's."""

    index: int
    name: str
    code: str
    detail: str

    @property
    def rejected(self) -> RejectedFile:
        """Its entry in a job's `rejected`."""
        return RejectedFile(self.name, self.code, self.detail)


class Objects(msgspec.Struct, frozen=True, kw_only=True):
    """An upload's objects in the order of the form. `unused`: indices of good files of bad objects."""

    good: tuple[ReceivedObject, ...]
    bad: tuple[BadObject, ...]
    unused: frozenset[int]


def read_objects(batch: ReceivedBatch, manifest: Manifest, most: int) -> Objects:
    """Group the files of a form into `most` objects at most. Raises InvalidParameter, TooManyFiles."""
    files: dict[int, GoodFile | BadFile] = {one.index: one for one in batch.files}
    files |= {one.index: one for one in batch.bad}
    files |= {one.index: one for one in batch.addressed}
    places = {index: one.place for index, one in sorted(files.items())}
    places |= _by_manifest(manifest, files, places)
    groups: dict[str | int, list[int]] = {}
    for index, place in places.items():
        groups.setdefault(place.object or index, []).append(index)
    if len(groups) > most:
        raise too_many_objects(most)
    metadata = _metadata(manifest, groups)
    good: list[ReceivedObject] = []
    bad: list[BadObject] = []
    unused: set[int] = set()
    for name, indices in groups.items():
        _check_group(name, [places[index].side for index in indices])
        faulty = [one for index in indices if isinstance(one := files[index], BadFile)]
        if faulty:
            bad.append(_bad(name, indices, faulty[0]))
            unused |= {index for index in indices if isinstance(files[index], ReceivedFile)}
            continue
        ordered = sorted(indices, key=lambda index: (_ORDER[places[index].side], index))
        views = tuple(one for index in ordered if not isinstance(one := files[index], BadFile))
        good.append(
            ReceivedObject(
                name=name if isinstance(name, str) else views[0].filename,
                views=views,
                sides=tuple(places[index].side for index in ordered),
                grouped=isinstance(name, str),
                metadata=metadata.get(name, {}),
            )
        )
    return Objects(good=tuple(good), bad=tuple(bad), unused=frozenset(unused))


def _by_manifest(
    manifest: Manifest, files: Mapping[int, GoodFile | BadFile], places: Mapping[int, Place]
) -> dict[int, Place]:
    """Where the manifest puts files of the form's parts `files`."""
    found: dict[int, Place] = {}
    names = {place.object for place in places.values() if place.object}
    for entry in manifest.objects:
        if not entry.views:
            continue
        name = entry.name or PurePath(files[entry.views[0].part].filename).stem
        if name in names:
            raise InvalidParameter(f"Two objects are named {name[:80]!r}. Give each a `name` of its own.")
        names.add(name)
        for view in entry.views:
            if view.part in found or places[view.part].object:
                raise InvalidParameter(
                    f"`manifest` makes part {view.part} a view of {name[:80]!r}, but it belongs to another "
                    "object. A file is a view of one object."
                )
            found[view.part] = Place(name, view.side)
    return found


def _metadata(manifest: Manifest, groups: Mapping[str | int, Sequence[int]]) -> dict[str | int, Metadata]:
    found: dict[str | int, Metadata] = {}
    for part, metadata in manifest.files.items():
        if part not in groups:
            raise InvalidParameter(
                f"`files` of `manifest` has metadata for part {part}, which is a view of an object. Put it "
                "into the object's entry in `objects`."
            )
        found[part] = metadata
    for entry in manifest.objects:
        if entry.views:
            name = entry.name or next(
                group for group, indices in groups.items() if entry.views[0].part in indices
            )
        elif entry.name in groups:
            name = entry.name
        else:
            raise InvalidParameter(
                f"`objects` of `manifest` names {entry.name[:80]!r}, but no part of the form is a view of it."
            )
        if name in found:
            raise InvalidParameter(f"`objects` of `manifest` names {str(name)[:80]!r} a second time.")
        found[name] = entry.metadata
    return found


def _check_group(name: str | int, sides: Sequence[str]) -> None:
    if len(sides) > MAX_VIEWS:
        raise InvalidParameter(
            f"The object {name!r} has {len(sides)} views. Send at most {MAX_VIEWS} of one object."
        )
    named = [side for side in sides if side]
    if twice := sorted({side for side in named if named.count(side) > 1}):
        raise InvalidParameter(
            f"The object {name!r} has two views of the side {twice[0]}. Send one of each side."
        )


def _bad(name: str | int, indices: Sequence[int], first: BadFile) -> BadObject:
    fault = first.fault
    if isinstance(name, str):
        detail = f"{first.filename}: {fault.detail}"
        return BadObject(index=min(indices), name=name, code=fault.code, detail=detail)
    return BadObject(index=min(indices), name=fault.file, code=fault.code, detail=fault.detail)
