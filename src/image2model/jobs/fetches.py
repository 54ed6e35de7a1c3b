"""Pictures that came as addresses, as a new job leaves them for the workers: see the package `fetching`.

A fetch brings all pictures of one object, for its images in all jobs of the request: variants and
comparisons share it. Its record alone holds the addresses. It lives for `KEPT_MS` at most, and is erased once
the pictures are here, or no image needs them any more.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from image2model.domain import PictureAddress

if TYPE_CHECKING:  # it loads the HTTP server's types, which a worker does not need
    from image2model.http.upload import AddressedFile

KEPT_MS: Final = 86_400_000
"""How long an address is kept at most: until then a failed fetch can be retried."""
MOST_ADDRESS: Final = 8192
"""The most characters of an address: signed ones are long."""


class FetchTarget(msgspec.Struct, frozen=True):
    """One job that gets the pictures: its images, and the id of each picture's file in it, in their order."""

    job_id: str
    image_ids: tuple[str, ...]
    file_ids: tuple[str, ...]


class FetchPlan(msgspec.Struct, frozen=True):
    """What is to be fetched for whom. `filenames`: of each picture. The first target's files are written,
    those of the others copied.
    """

    filenames: tuple[str, ...]
    targets: tuple[FetchTarget, ...]


class NewFetch(msgspec.Struct, frozen=True):
    """One fetch of a request, with the address of each of its pictures."""

    fetch_id: str
    plan: FetchPlan
    addresses: tuple[PictureAddress, ...]

    @property
    def packed(self) -> tuple[object, ...]:
        """As `create_job` gets it."""
        plan = msgspec.json.encode(self.plan).decode()
        return (self.fetch_id, plan, [one.url for one in self.addresses], KEPT_MS)


def new_fetch(fetch_id: str, pictures: Sequence["AddressedFile"], targets: Sequence[FetchTarget]) -> NewFetch:
    """The fetch of one object's pictures."""
    names = tuple(one.filename for one in pictures)
    return NewFetch(fetch_id, FetchPlan(names, tuple(targets)), tuple(one.address for one in pictures))
