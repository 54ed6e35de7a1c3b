"""Judges what was paid: nothing twice, and what is booked is what FAL billed.

Who calls it: the verdict. FAL's side is the emulator's ledger.
"""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.fal.endpoints import DEFAULT_REMOVER
from image2model.store.keys import key
from image2model.store.records import ImageRow, JobSnapshot

PRICE_MICRO = 300_000
"""Of one generation of the default model with default parameters, by the service's own table."""
CUTOUT_MICRO = 18_000
"""Of one background that is removed."""
_UNKNOWN_ENDS = frozenset({"result_expired", "result_invalid"})


def submissions(ledger: list[dict[str, Any]], images: dict[str, ImageRow]) -> list[str]:
    """Nothing was paid for twice: one submission to an attempt, the next one after a definite failure."""
    of_image = by_image(ledger)
    attempts = Counter(entry["tags"]["i2m.attempt"] for entry in ledger)
    broken = [
        f"attempt {token} was submitted {count} times" for token, count in attempts.items() if count > 1
    ]
    for image_id, entries in of_image.items():
        image = images.get(image_id)
        if image is None:
            broken.append(f"image {image_id} was submitted and never accepted")
        else:
            ordered = sorted(entries, key=lambda entry: str(entry["accepted_at"]))
            for phase in ([one for one in ordered if is_cutout(one) is cut] for cut in (True, False)):
                broken += _bought(image, phase)
    broken += [
        f"image {image.image_id} has a result and was never submitted"
        for image in images.values()
        if image.status is ImageStatus.SUCCEEDED and not image.cached and image.image_id not in of_image
    ]
    return broken


def is_cutout(entry: dict[str, Any]) -> bool:
    """Whether a background was removed, before the model of the same image."""
    return bool(entry["endpoint"] == DEFAULT_REMOVER)


def _price(entry: dict[str, Any]) -> int:
    return CUTOUT_MICRO if is_cutout(entry) else PRICE_MICRO


def by_image(ledger: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The ledger's lines of each image."""
    of_image: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in ledger:
        of_image[entry["tags"]["i2m.image"]].append(entry)
    return dict(of_image)


def _bought(image: ImageRow, entries: list[dict[str, Any]]) -> list[str]:
    about = f"image {image.image_id} ({image.status.value}, attempt {image.attempt})"
    if len(entries) > image.attempt:
        return [f"{about} was submitted {len(entries)} times"]
    return [
        f"{about} was submitted again although {earlier['request_id']} {earlier['outcome']}"
        for earlier, later in pairwise(entries)
        if earlier["outcome"] != "failed" or _time(earlier["finished_at"]) > _time(later["accepted_at"])
    ]


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.max.replace(tzinfo=UTC)


def documents(found: dict[str, JobSnapshot], account_micro: int) -> list[str]:
    """A job costs what its images do, and the account has spent what the jobs cost. Micro-dollars."""
    broken, total = [], 0
    for job_id, job in found.items():
        images = sum(image.cost_micro or 0 for image in job.images)
        total += images
        if job.job.cost_micro != images:
            broken.append(f"job {job_id} costs {job.job.cost_micro}, its images {images}")
    if total != account_micro:
        broken.append(f"the account has spent {account_micro}, the documents say {total}")
    return broken


async def spent(redis: Redis) -> int:
    """Micro-dollars that all accounts have spent."""
    prefix = key("account", "")
    names = [name async for name in redis.scan_iter(f"{prefix}*", count=1000)]
    return sum([int(await redis.hget(name, "total_spent") or 0) for name in names])


def bills(ledger: list[dict[str, Any]], images: dict[str, ImageRow]) -> list[str]:
    """Each image's booked cost is what FAL billed for all of its requests; and nobody else's is.

    Where FAL does not say (`billed_usd` null) the table's price is booked, and the image says that it is
    uncertain. A request that was never found cannot be booked: its image is `submission_unconfirmed`. How one
    ended that FAL has forgotten (`result_expired`), or whose result nobody can read (`result_invalid`), is
    not known either, so it is booked by the table too.
    """
    of_image = by_image(ledger)
    broken = []
    for image_id, image in images.items():
        entries = of_image.get(image_id, [])
        known, unsaid = _due(entries)
        booked = image.cost_micro or 0
        if booked == known + unsaid and (not unsaid or image.cost_uncertain):
            continue
        if image.error and image.error.code == "submission_unconfirmed" and booked <= known + unsaid:
            continue
        if image.error and image.error.code in _UNKNOWN_ENDS and _is_a_guess(image, entries, booked):
            continue
        broken.append(
            f"image {image_id} ({_end(image)}) has {booked} micro-dollars booked, "
            f"FAL billed {known + unsaid}: "
            f"{[(entry['outcome'], entry['billed_usd']) for entry in entries]}"
        )
    return broken


def _due(entries: list[dict[str, Any]]) -> tuple[int, int]:
    """Micro-dollars that FAL billed, and those of the table where it did not say."""
    known = sum(
        round(entry["billed_usd"] * 1_000_000) for entry in entries if entry["billed_usd"] is not None
    )
    unsaid = [entry for entry in entries if entry["billed_usd"] is None and entry["started_at"] is not None]
    return known, sum(_price(entry) for entry in unsaid)


def _is_a_guess(image: ImageRow, entries: list[dict[str, Any]], booked: int) -> bool:
    return image.cost_uncertain and 0 < booked <= sum(map(_price, entries))


def _end(image: ImageRow) -> str:
    return image.error.code if image.error else image.status.value


async def reservations(redis: Redis) -> list[str]:
    """Nothing is set aside at the end but for what FAL may still bill, and that is on the list of holds."""
    prefix = key("account", "")
    names = [name async for name in redis.scan_iter(f"{prefix}*", count=1000)]
    held = sum([int(await redis.hget(name, "reserved") or 0) for name in names])
    holds = await redis.hgetall(key("held"))
    due = sum(json.loads(hold)[2] for hold in holds.values())
    return [] if held == due else [f"{held} micro-dollars are set aside for {len(holds)} holds: {due}"]
