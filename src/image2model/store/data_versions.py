"""Data versions: what each one writes that processes of the one before cannot read.

`scripts.library` gives the table to the scripts; `identity` negotiates which version is written. See
ARCHITECTURE.md, "Running two versions side by side". A new version is one more row. Whatever it changes
beyond the columns here, the script that writes it guards with `data_version()`.
"""

from typing import Final

import msgspec

from image2model.store.keys import SHARED_CHANNELS, Channels, own_channels
from image2model.store.records import IMAGE_FIELDS, JOB_FIELDS


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """One data version. Readers accept rows that are longer or shorter; those of version 1 do not.

    `image_fields`, `job_fields`: the length of the rows in events. `own_channels`: whether the names of
    pub/sub channels contain the store's id. `flat_results`: whether all results of a job that was made in it
    are in one directory, which neither the clean-up nor the backup of earlier releases understands.
    `functions`: the ARQ functions that came with it, whose tasks earlier workers drop.
    """

    version: int
    since: str
    image_fields: int
    job_fields: int
    own_channels: bool
    flat_results: bool = False
    functions: frozenset[str] = frozenset()


LAYOUTS: Final = (
    Layout(
        version=1,
        since="8adfc9c",
        image_fields=19,
        job_fields=12,
        own_channels=False,
        functions=frozenset({"generate_model", "finish_batch", "deliver_webhook", "reconcile", "cleanup"}),
    ),
    Layout(
        version=2,
        since="the revision after 8adfc9c",
        image_fields=20,
        job_fields=12,
        own_channels=True,
        functions=frozenset({"refresh_files"}),
    ),
    Layout(
        version=3,
        since="the revision after e698190",
        image_fields=21,
        job_fields=13,
        own_channels=True,
        functions=frozenset({"delete_at_fal"}),
    ),
    Layout(
        version=4,
        since="the revision after 84e7db3",
        image_fields=30,
        job_fields=14,
        own_channels=True,
        functions=frozenset({"fetch_pictures"}),
    ),
    Layout(
        version=5,
        since="the revision after 61b56f0",
        image_fields=30,
        job_fields=14,
        own_channels=True,
    ),
    Layout(
        version=6,
        since="the revision after d36eec3",
        image_fields=len(IMAGE_FIELDS),
        job_fields=len(JOB_FIELDS),
        own_channels=True,
        flat_results=True,
    ),
)
"""All versions, in order: version N is row N - 1."""

LATEST: Final = LAYOUTS[-1].version
"""What this release reads, and writes once every process reads it."""


def made_in(store_field: str) -> Layout:
    """The layout of a job by its field `store`, which only one that was made in the newest version has."""
    version = store_field.partition(":")[0]
    return LAYOUTS[int(version) - 1] if version else LAYOUTS[0]


def functions_since() -> dict[str, int]:
    """The ARQ functions that not every version knows, with the first version that does."""
    return {name: layout.version for layout in LAYOUTS[1:] for name in layout.functions}


def subscribed_channels(version: int, store_id: str) -> tuple[Channels, ...]:
    """The channels to listen to while `version` is written, and at the moment when it goes up."""
    own = own_channels(store_id)
    return (own,) if LAYOUTS[version - 1].own_channels else (own, SHARED_CHANNELS)
