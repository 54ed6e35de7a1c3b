"""The verdict: what must hold at the end of a run, and the numbers of the table.

Who calls it: the driver. Each check reads the store, the ledger, the files or the clients' notes, and
says in words what does not hold.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.store import jobs
from image2model.store.keys import Queue, key
from image2model.store.rows import ImageRow, JobSnapshot
from tests.chaos.leftovers import files_of, leftovers
from tests.chaos.listener import FINAL, Listener, Outcome
from tests.support.keys import keys_without_life

if TYPE_CHECKING:
    from tests.chaos.driver import Run

ALLOWED = frozenset(
    {
        "submission_unconfirmed",
        "generation_failed",
        "generation_timeout",
        "rejected_by_model",
        "result_expired",
        "result_invalid",
        "worker_crashed",
    }
)
"""Ends that the drawn faults may bring about."""


class Verdict(msgspec.Struct):
    """`broken`: one sentence for each promise that was not kept. `numbers`: the table."""

    broken: list[str]
    numbers: dict[str, object]

    def table(self) -> str:
        """For people."""
        width = max(map(len, self.numbers))
        lines = [f"{name:<{width}}  {value}" for name, value in self.numbers.items()]
        return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in self.broken)])


async def judge(
    run: "Run", redis: Redis, truth: dict[str, Counter[Outcome]], times: dict[str, float]
) -> Verdict:
    """Look at everything. `truth`: the outcomes of each job."""
    accepted = run.uploads.accepted
    found = {job_id: await jobs.read(redis, job_id) for job_id in accepted}
    images = {image.image_id: image for job in found.values() for image in job.images}
    ledger = run.world.emulator.submissions()
    lost = [image_id for image_id, image in images.items() if image.status.value not in FINAL]
    broken = [
        *run.uploads.faults,
        *(f"{len(lost)} images never ended, such as {lost[:3]}" for _ in lost[:1]),
        *unknown_jobs(await job_ids(redis), set(accepted)),
        *submissions(ledger, images),
        *counters(await hashes(redis, found), found),
        *codes(images),
        *await files_of(run.world.files, images),
        *await leftovers(run, redis, images),
        *(f"key without a life: {name}" for name in await keys_without_life(redis)),
        *await queues(redis),
        *told(run, truth, images),
        *(f"{slot.name} ended by itself: {slot.bad_ends}" for slot in run.world.slots if slot.bad_ends),
    ]
    return Verdict(broken, numbers(run, images, ledger, lost, times))


async def job_ids(redis: Redis) -> set[str]:
    """Every job that there is."""
    prefix = key("job", "")
    names = [name.decode().removeprefix(prefix) async for name in redis.scan_iter(f"{prefix}*", count=1000)]
    return {name for name in names if ":" not in name}


async def hashes(redis: Redis, found: dict[str, JobSnapshot]) -> dict[str, dict[bytes, bytes]]:
    """The raw hash of each job."""
    return {job_id: await redis.hgetall(key("job", job_id)) for job_id in found}


def unknown_jobs(existing: set[str], accepted: set[str]) -> list[str]:
    """What was accepted exists, and nothing else does."""
    wrong = [f"accepted job {job_id} is gone" for job_id in accepted - existing]
    return wrong + [f"job {job_id} exists and was never answered" for job_id in existing - accepted]


def submissions(ledger: list[dict[str, Any]], images: dict[str, ImageRow]) -> list[str]:
    """Nothing was paid for twice: one submission to an attempt, the next one after a definite failure."""
    of_image: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in ledger:
        of_image[entry["tags"]["i2m.image"]].append(entry)
    attempts = Counter(entry["tags"]["i2m.attempt"] for entry in ledger)
    broken = [
        f"attempt {token} was submitted {count} times" for token, count in attempts.items() if count > 1
    ]
    for image_id, entries in of_image.items():
        image = images.get(image_id)
        if image is None:
            broken.append(f"image {image_id} was submitted and never accepted")
        else:
            broken += _bought(image, sorted(entries, key=lambda entry: str(entry["accepted_at"])))
    return broken


def _bought(image: ImageRow, entries: list[dict[str, Any]]) -> list[str]:
    about = f"image {image.image_id} ({image.status.value}, attempt {image.attempt})"
    if len(entries) > image.attempt:
        return [f"{about} was submitted {len(entries)} times"]
    broken = [
        f"{about} was submitted again although {earlier['request_id']} {earlier['outcome']}"
        for earlier, later in pairwise(entries)
        if earlier["outcome"] != "failed" or _time(earlier["finished_at"]) > _time(later["accepted_at"])
    ]
    if image.status is ImageStatus.SUCCEEDED and not entries:
        broken.append(f"{about} has a result and was never submitted")
    return broken


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.max.replace(tzinfo=UTC)


def counters(raw: dict[str, dict[bytes, bytes]], found: dict[str, JobSnapshot]) -> list[str]:
    """A job's counters are those of its images."""
    broken = []
    for job_id, job in found.items():
        real = Counter(image.status.value for image in job.images)
        for status in ImageStatus:
            kept = int(raw[job_id].get(f"n_{status.value}".encode(), b"0"))
            if kept != real[status.value]:
                broken.append(f"job {job_id} counts {kept} {status.value} of {real[status.value]}")
    return broken


def codes(images: dict[str, ImageRow]) -> list[str]:
    """Nothing failed but by a fault that was drawn."""
    found = Counter(image.error.code for image in images.values() if image.error)
    return [f"{count} images ended as {code}" for code, count in found.items() if code not in ALLOWED]


async def queues(redis: Redis) -> list[str]:
    """Nothing is left that would run, and no permit or lease is held."""
    left = {
        "images in the queue": await redis.zcard(f"arq:queue:{Queue.GENERATION.value}"),
        "leases": await redis.zcard(key("leases", Queue.GENERATION.value)),
        "permits": await redis.zcard(key("permits")),
    }
    return [f"{count} {what} left" for what, count in left.items() if count]


def told(run: "Run", truth: dict[str, Counter[Outcome]], images: dict[str, ImageRow]) -> list[str]:
    """Every client heard every outcome exactly once."""
    broken = []
    for job_id, expected in truth.items():
        broken += _heard(run.jobs[job_id], expected)
        ends = {(outcome.image_id, outcome.status) for outcome in expected}
        broken += [
            f"image {image_id} is {image.status.value}, and no event told so"
            for image_id, image in images.items()
            if image_id in run.uploads.accepted[job_id] and (image_id, image.status.value) not in ends
        ]
    everything: Counter[Outcome] = Counter()
    for expected in truth.values():
        everything += expected
    broken += [f"{outcome} happened {n} times" for outcome, n in everything.items() if n > 1]
    for owner in run.owners:
        broken += _heard(owner, everything)
    return broken


def _heard(listener: Listener, expected: Counter[Outcome]) -> list[str]:
    missed, more = expected - listener.told, listener.told - expected
    broken = list(listener.faults)
    if missed:
        broken.append(f"{listener.path} missed {len(missed)} outcomes, such as {next(iter(missed))}")
    if more:
        broken.append(f"{listener.path} was told {len(more)} too often, such as {next(iter(more))}")
    return broken


def numbers(
    run: "Run",
    images: dict[str, ImageRow],
    ledger: list[dict[str, Any]],
    lost: list[str],
    times: dict[str, float],
) -> dict[str, object]:
    """The table."""
    statuses = Counter(image.status.value for image in images.values())
    failed = Counter(image.error.code for image in images.values() if image.error)
    attempts = Counter(entry["tags"]["i2m.attempt"] for entry in ledger)
    bought = {entry["tags"]["i2m.image"] for entry in ledger}
    unconfirmed = [
        i.image_id for i in images.values() if i.error and i.error.code == "submission_unconfirmed"
    ]
    listeners = [*run.jobs.values(), *run.owners]
    return {
        "seed": run.world.size.seed,
        "images": run.world.size.images,
        "accepted": len(images),
        "succeeded": statuses["succeeded"],
        "failed": dict(failed.most_common()),
        "unconfirmed, yet accepted": sum(image_id in bought for image_id in unconfirmed),
        "lost": len(lost),
        "submissions": len(ledger),
        "submitted twice": sum(count - 1 for count in attempts.values()),
        "images with another attempt": sum(image.attempt > 1 for image in images.values()),
        "kills": run.strikes.kills,
        "faults": dict(run.strikes.done.most_common()),
        "skipped draws": run.strikes.skipped,
        "process starts": sum(slot.starts for slot in run.world.slots),
        "upload answers": dict(run.uploads.answers.most_common()),
        "stream connections": sum(listener.connections for listener in listeners),
        "stream resets": sum(listener.resets for listener in listeners),
        "chaos, s": round(times["chaos"], 1),
        "drain, s": round(times["drain"], 1),
    }
