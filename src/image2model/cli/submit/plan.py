"""Decides what a run has to do with each picture: keep its model, follow an earlier job, or send it.

It reads the ledger and the output folder alone, before anything is sent. `make_plan` changes nothing, for
`quote`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from image2model.cli.submit.collect import Found
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, Sent
from image2model.cli.submit.options import SharedOptions
from image2model.cli.submit.outputs import Wanted, assign, copy_model, wanted

MAX_FILES: Final = 25
MAX_BYTES: Final = (1024 - 1) * 1024**2  # the default body limit, without an allowance for the parts' headers
_NOT_ALONE: Final = (
    "its job is gone, and other variants of the same picture are here; variants are made together, "
    "so use another --out to make all of them again"
)
KEY_SECONDS: Final = 23 * 3600.0  # the service keeps an idempotency key for 24 h


class Batch(msgspec.Struct, frozen=True):
    """Pictures and objects of one upload under `key`, sent or not. `job_id`: the job that it became."""

    key: str
    items: tuple[Item, ...]
    job_id: str | None = None
    begun: float | None = None

    @property
    def options(self) -> SharedOptions:
        """Those of all its items."""
        return self.items[0].options

    @property
    def objects(self) -> list[Item]:
        """One item of each object: what is uploaded."""
        return [variants[0] for variants in objects_of(self.items)]


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


def prepare(pictures: Sequence[Found], ledger: Ledger, options: Sequence[SharedOptions], out: Path) -> Plan:
    """The plan, with its output paths claimed and its copies made. Blocks. Raises OSError."""
    models = wanted(pictures, options)
    stems = assign(models, ledger.claims(), out)
    plan = make_plan(models, stems, ledger, out)
    ledger.claim((stem, one.found.source, one.found.sha256) for one, stem in zip(models, stems, strict=True))
    for copy in plan.copies:
        copy_model(out, copy.model, copy.file)
        ledger.save(copy.stem, copy.item.sha256, copy.item.options, copy.file, copy.size)
    return plan


def make_plan(models: Sequence[Wanted], stems: Sequence[str], ledger: Ledger, out: Path) -> Plan:
    """Models of identical pictures become one item. Changes neither the ledger nor the folder."""
    items = _items(models, stems)
    copies: list[Copy] = []
    sent: dict[str, tuple[Sent, list[Item]]] = {}
    fresh: list[Item] = []
    for item in items:
        if complete := _complete_models(item, ledger, out):
            copies += _keep(item, complete)
        elif earlier := ledger.sent(item.sha256, item.options):
            sent.setdefault(earlier.key, (earlier, []))[1].append(item)
        else:
            fresh.append(item)
    known = [Batch(one.key, tuple(found), one.job_id, one.begun) for one, found in sent.values()]
    return Plan(items=items, known=known, fresh=whole_objects(fresh), copies=copies)


def whole_objects(items: Sequence[Item]) -> list[Item]:
    """Those that can be sent. A part of the variants of an object cannot: it fails, with the reason."""
    found: list[Item] = []
    for variants in objects_of(items):
        if len(variants) < (variants[0].options.variants or 1):
            for item in variants:
                item.fail("expired", _NOT_ALONE)
        else:
            found += variants
    return found


def objects_of(items: Iterable[Item]) -> list[list[Item]]:
    """The items of each object by each model: one, or all its variants."""
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        found.setdefault((item.options.model, item.sha256), []).append(item)
    return list(found.values())


def batches(items: Sequence[Item]) -> list[Batch]:
    """Items in order, at most 25 objects by one model to a batch and within the body limit, files and
    addresses apart.

    An object that is larger goes alone.
    """
    groups: dict[tuple[str, bool], list[list[list[Item]]]] = {}
    free = 0
    for variants in objects_of(sorted(items, key=lambda item: item.options.model)):
        size = variants[0].size
        first = variants[0]
        these = groups.setdefault((first.options.model, first.address is not None), [])
        if not these or len(these[-1]) == MAX_FILES or size > free:
            these.append([])
            free = MAX_BYTES
        these[-1].append(variants)
        free -= size
    return [_batch_of(group) for these in groups.values() for group in these]


def halves(items: Sequence[Item]) -> tuple[Batch, Batch]:
    """Two batches, for a service that accepts less in one upload."""
    objects = objects_of(items)
    half = len(objects) // 2
    return _batch_of(objects[:half]), _batch_of(objects[half:])


def _batch_of(objects: Sequence[Sequence[Item]]) -> Batch:
    return new_batch([item for variants in objects for item in variants])


def new_batch(items: Sequence[Item]) -> Batch:
    """A batch under a key of its own."""
    return Batch(uuid4().hex, tuple(items))


def _items(models: Sequence[Wanted], stems: Sequence[str]) -> list[Item]:
    items: dict[tuple[str, str, int], Item] = {}
    for one, stem in zip(models, stems, strict=True):
        found = one.found
        item = Item(
            found.sha256,
            found.path,
            found.given,
            found.size,
            [],
            views=found.views,
            options=one.options,
            variant=one.variant,
            address=found.address,
            metadata=found.metadata,
        )
        items.setdefault(item.key, item).stems.append(stem)
    return list(items.values())


def _complete_models(item: Item, ledger: Ledger, out: Path) -> dict[str, tuple[str, int]]:
    """The item's saved models with their sizes, by their stems."""
    saved = {stem: ledger.saved(stem, item.sha256, item.options) for stem in item.stems}
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
