"""Objects of several views in an upload: several pictures that become one model."""

import os
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from image2model.client.multipart import Address, Picture
from image2model.domain import SIDES, MetadataValue

MAX_VIEWS: Final = 8
"""The most views of one object that a service takes."""


class View(msgspec.Struct, frozen=True):
    """One picture of an object: a path, a `Picture` or an `Address`, whose own `metadata` is not sent.

    `side`: what it shows, one of front, back, left, right, top, bottom, left_front and right_front; empty
    where none is named.
    """

    picture: str | os.PathLike[str] | Picture | Address
    side: str = ""

    @property
    def file(self) -> Picture:
        """The picture itself. Raises FileNotFoundError and the like, and TypeError for an address."""
        if isinstance(self.picture, Address):
            raise TypeError("an address is no file: it is sent as JSON")
        return self.picture if isinstance(self.picture, Picture) else Picture.from_path(self.picture)


class Object(msgspec.Struct, frozen=True):
    """Pictures of one thing, of which one model is made: 1 to 8 `views`, each side at most once.

    `name`: 1 to 80 characters without brackets, once in an upload; the job's image has it as `filename`.
    A view that is a path, a `Picture` or an `Address` has no side. `metadata`: the caller's own data on this
    object.
    Raises ValueError for anything else. What the model takes is for the service to check: it answers with
    an ApiError `invalid_parameter` before anything is bought.
    """

    name: str
    views: Sequence[View | str | os.PathLike[str] | Picture | Address]
    metadata: Mapping[str, MetadataValue] = {}

    def __post_init__(self) -> None:
        """Raises ValueError: a name or a side that the form cannot hold would be another part's."""
        if not 0 < len(self.name) <= 80 or not self.name.isprintable() or {*self.name} & {*"[]"}:
            raise ValueError(f"{self.name[:100]!r} must be 1 to 80 printable characters without brackets")
        if not 0 < len(self.views) <= MAX_VIEWS:
            raise ValueError(f"{self.name!r} has {len(self.views)} views; it needs 1 to {MAX_VIEWS}")
        sides = [view.side for view in self.sided if view.side]
        if unknown := {*sides} - {*SIDES}:
            raise ValueError(f"{self.name!r} has a side {unknown.pop()!r}; the sides are {', '.join(SIDES)}")
        if len(sides) > len({*sides}):
            raise ValueError(f"{self.name!r} has two views of one side")

    @property
    def sided(self) -> tuple[View, ...]:
        """All its views, those without a side too."""
        return tuple(view if isinstance(view, View) else View(view) for view in self.views)
