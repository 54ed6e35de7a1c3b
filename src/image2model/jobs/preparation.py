"""What a client wants done with its pictures before their model runs, and what that costs.

The removal of a background is a paid request for each view; cropping and padding are ours and free. Pure.
Raises InvalidParameter.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from image2model.domain import Preparation
from image2model.fal.endpoints import DEFAULT_REMOVER, Endpoint
from image2model.http.upload.fields import flag_of, read_flag
from image2model.jobs.digests import cutout_digest
from image2model.jobs.objects import ReceivedObject

FIELDS: Final = ("remove_background", "crop", "pad_square", "confirm_prepared")


def remover_id(fields: Mapping[str, str]) -> str | None:
    """The endpoint that removes the backgrounds; None where they stay."""
    text = fields.get("remove_background", "false")
    flag = flag_of(text)
    if flag is None:
        return text
    return DEFAULT_REMOVER if flag else None


def read_preparation(fields: Mapping[str, str]) -> Preparation | None:
    """What the form wants prepared; None where the pictures are sent as they are."""
    wanted = Preparation(
        remove_background=remover_id(fields),
        crop=read_flag(fields, "crop"),
        pad_square=read_flag(fields, "pad_square"),
        confirm_prepared=read_flag(fields, "confirm_prepared"),
    )
    return None if wanted == Preparation() else wanted


class Preparing(msgspec.Struct, frozen=True, kw_only=True):
    """What is prepared, and the endpoint that removes backgrounds, None where they stay."""

    wanted: Preparation
    remover: Endpoint | None

    def cutouts(self, objects: Sequence[ReceivedObject]) -> int:
        """How many backgrounds are removed."""
        return sum(len(one.views) for one in objects) if self.remover is not None else 0

    def price(self) -> int | None:
        """Micro-dollars for one view; None where only the run shows it."""
        return 0 if self.remover is None else self.remover.price({})

    def reservation(self) -> int:
        """Micro-dollars to set aside for one view."""
        return 0 if self.remover is None else self.remover.reservation({})

    def digests(
        self, received: ReceivedObject, *, owner: str, dedupe: str, no_cache: bool
    ) -> tuple[str, ...]:
        """What makes two cut-outs the same, for each view of an object; empty: nothing may be reused."""
        if self.remover is None:
            return ()
        remover = self.remover.id
        return tuple(
            cutout_digest(view.sha256, remover, owner=owner, dedupe=dedupe, no_cache=no_cache)
            for view in received.views
        )
