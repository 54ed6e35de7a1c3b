"""Decides what a run has to do: what is there already, what a job has, what is to be sent.

Who calls it: `submit`, before the first byte goes out. It asks the ledger and the output folder alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from image2model.cli.submit.collect import Found
from image2model.cli.submit.copying import copy_model
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.ledger import Ledger, Sent, Wish

MOST_FILES: Final = 25
MOST_BYTES: Final = 25 * 10 * 1024**2  # the default body limit, without its slack for the parts' headers
KEY_SECONDS: Final = 23 * 3600.0  # the service keeps an idempotency key for 24 h


class Batch(msgspec.Struct, frozen=True):
    """Pictures that go, or went, in one upload under `key`. `job_id`: the job that it became."""

    key: str
    items: tuple[Item, ...]
    job_id: str | None = None
    begun: float | None = None


class Plan(msgspec.Struct):
    """`known`: batches of earlier runs to follow or to send again; `fresh`: what was never sent."""

    items: list[Item]
    known: list[Batch]
    fresh: list[Item]


def make_plan(
    pictures: Sequence[Found], stems: Mapping[Path, str], ledger: Ledger, wish: Wish, out: Path
) -> Plan:
    """Identical pictures become one item."""
    items = _items(pictures, stems)
    sent: dict[str, tuple[Sent, list[Item]]] = {}
    fresh: list[Item] = []
    for item in items:
        if _is_saved(item, ledger, wish, out):
            item.outcome = Outcome.KEPT
        elif earlier := ledger.sent(item.sha256, wish):
            sent.setdefault(earlier.key, (earlier, []))[1].append(item)
        else:
            fresh.append(item)
    known = [Batch(one.key, tuple(found), one.job_id, one.begun) for one, found in sent.values()]
    return Plan(items=items, known=known, fresh=fresh)


def batches(items: Sequence[Item]) -> list[Batch]:
    """Items in order, at most 25 to a batch and within the body limit; one that is larger goes alone."""
    groups: list[list[Item]] = []
    room = 0
    for item in items:
        if not groups or len(groups[-1]) == MOST_FILES or item.size > room:
            groups.append([])
            room = MOST_BYTES
        groups[-1].append(item)
        room -= item.size
    return [new_batch(group) for group in groups]


def new_batch(items: Sequence[Item]) -> Batch:
    """A batch under a key of its own."""
    return Batch(uuid4().hex, tuple(items))


def _items(pictures: Sequence[Found], stems: Mapping[Path, str]) -> list[Item]:
    items: dict[str, Item] = {}
    for found in pictures:
        item = items.get(found.sha256)
        if item is None:
            items[found.sha256] = Item(found.sha256, found.path, found.given, found.size, [stems[found.path]])
        else:
            item.stems.append(stems[found.path])
    return list(items.values())


def _is_saved(item: Item, ledger: Ledger, wish: Wish, out: Path) -> bool:
    saved = {stem: ledger.saved(stem, item.sha256, wish) for stem in item.stems}
    whole = {stem: file for stem, file in saved.items() if file and _has_size(out / file[0], file[1])}
    if not whole:
        return False
    model, size = next(iter(whole.values()))
    for stem in item.stems:
        if stem not in whole:  # the same picture under one more name: its model is here already
            file = stem + Path(model).suffix
            copy_model(out, model, file)
            ledger.save(stem, item.sha256, wish, file, size)
            whole[stem] = (file, size)
    item.files = [whole[stem][0] for stem in item.stems]
    return True


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
