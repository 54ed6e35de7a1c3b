"""Decides what a run has to do with each picture: keep its model, follow an earlier job, or send it.

It reads the ledger and the output folder alone, before anything is sent. `make_plan` changes nothing, for
`quote`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from image2model.cli.submit.collect import Found
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, Sent, SharedOptions
from image2model.cli.submit.outputs import assign, copy_model

MAX_FILES: Final = 25
MAX_BYTES: Final = (1024 - 1) * 1024**2  # the default body limit, without an allowance for the parts' headers
KEY_SECONDS: Final = 23 * 3600.0  # the service keeps an idempotency key for 24 h


class Batch(msgspec.Struct, frozen=True):
    """Pictures and objects of one upload under `key`, sent or not. `job_id`: the job that it became."""

    key: str
    items: tuple[Item, ...]
    job_id: str | None = None
    begun: float | None = None


class Copy(msgspec.Struct, frozen=True):
    """A saved model of `size` bytes, to be copied to one more path of the same picture."""

    item: Item
    model: str
    stem: str
    size: int

    @property
    def file(self) -> str:
        """The path of the copy."""
        return self.stem + Path(self.model).suffix


class Plan(msgspec.Struct):
    """`known`: batches of earlier runs to follow or to send again; `fresh`: items that were never sent.

    `copies`: copies to make until the kept items have all their files.
    """

    items: list[Item]
    known: list[Batch]
    fresh: list[Item]
    copies: list[Copy]


def prepare(pictures: Sequence[Found], ledger: Ledger, options: SharedOptions, out: Path) -> Plan:
    """The plan, with its output paths claimed and its copies made. Blocks. Raises OSError."""
    stems = assign(pictures, ledger.claims(), out)
    plan = make_plan(pictures, stems, ledger, options, out)
    ledger.claim(stems, {picture.path: picture.sha256 for picture in pictures})
    for copy in plan.copies:
        copy_model(out, copy.model, copy.file)
        ledger.save(copy.stem, copy.item.sha256, options, copy.file, copy.size)
    return plan


def make_plan(
    pictures: Sequence[Found], stems: Mapping[Path, str], ledger: Ledger, options: SharedOptions, out: Path
) -> Plan:
    """Identical pictures become one item. Changes neither the ledger nor the folder."""
    items = _items(pictures, stems)
    copies: list[Copy] = []
    sent: dict[str, tuple[Sent, list[Item]]] = {}
    fresh: list[Item] = []
    for item in items:
        if complete := _complete_models(item, ledger, options, out):
            copies += _keep(item, complete)
        elif earlier := ledger.sent(item.sha256, options):
            sent.setdefault(earlier.key, (earlier, []))[1].append(item)
        else:
            fresh.append(item)
    known = [Batch(one.key, tuple(found), one.job_id, one.begun) for one, found in sent.values()]
    return Plan(items=items, known=known, fresh=fresh, copies=copies)


def batches(items: Sequence[Item]) -> list[Batch]:
    """Items in order, at most 25 to a batch and within the body limit; one that is larger goes alone."""
    groups: list[list[Item]] = []
    free = 0
    for item in items:
        if not groups or len(groups[-1]) == MAX_FILES or item.size > free:
            groups.append([])
            free = MAX_BYTES
        groups[-1].append(item)
        free -= item.size
    return [new_batch(group) for group in groups]


def halves(items: Sequence[Item]) -> tuple[Batch, Batch]:
    """Two batches, for a service that accepts less in one upload."""
    half = len(items) // 2
    return new_batch(items[:half]), new_batch(items[half:])


def new_batch(items: Sequence[Item]) -> Batch:
    """A batch under a key of its own."""
    return Batch(uuid4().hex, tuple(items))


def _items(pictures: Sequence[Found], stems: Mapping[Path, str]) -> list[Item]:
    items: dict[str, Item] = {}
    for found in pictures:
        item = items.get(found.sha256)
        if item is None:
            items[found.sha256] = Item(
                found.sha256, found.path, found.given, found.size, [stems[found.path]], views=found.views
            )
        else:
            item.stems.append(stems[found.path])
    return list(items.values())


def _complete_models(
    item: Item, ledger: Ledger, options: SharedOptions, out: Path
) -> dict[str, tuple[str, int]]:
    """The item's saved models with their sizes, by their stems."""
    saved = {stem: ledger.saved(stem, item.sha256, options) for stem in item.stems}
    return {stem: file for stem, file in saved.items() if file and _has_size(out / file[0], file[1])}


def _keep(item: Item, complete: Mapping[str, tuple[str, int]]) -> list[Copy]:
    """Mark the item as done; return the copies for names that its picture has got since."""
    model, size = next(iter(complete.values()))
    copies = {stem: Copy(item, model, stem, size) for stem in item.stems if stem not in complete}
    item.outcome = Outcome.KEPT
    item.files = [copies[stem].file if stem in copies else complete[stem][0] for stem in item.stems]
    return list(copies.values())


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
