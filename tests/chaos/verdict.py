"""The verdict: what must hold at the end of a run, and the numbers of the table.

Who calls it: the driver. Each check reads the store, the ledger, the files or the clients' notes, and
says in words what does not hold.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.store import job_reads
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue, key
from image2model.store.records import ImageRow, JobSnapshot
from tests.chaos import money, views
from tests.chaos.history import JobHistory
from tests.chaos.leftovers import files_of, leftovers
from tests.chaos.listener import FINAL
from tests.support.keys import keys_without_ttl

if TYPE_CHECKING:
    from tests.chaos.driver import Run

ALLOWED = frozenset(
    {
        "submission_unconfirmed",
        "generation_failed",
        "generation_timeout",
        "rejected_by_model",
        "content_policy",
        "result_expired",
        "result_invalid",
    }
)
"""Ends that the drawn faults may bring about. A kill is no picture's fault: `worker_crashed` is not here."""


class Verdict(msgspec.Struct):
    """`broken`: one sentence for each promise that was not kept. `numbers`: what is shown of the run."""

    broken: list[str]
    numbers: dict[str, object]

    def table(self) -> str:
        """For people."""
        width = max(map(len, self.numbers))
        lines = [f"{name:<{width}}  {value}" for name, value in self.numbers.items()]
        return "\n".join([*lines, *(f"BROKEN: {sentence}" for sentence in self.broken)])


class Seen(msgspec.Struct, frozen=True):
    """`truth`: each job's history. `missed` states were not told to some client; `faults`: sentences."""

    truth: dict[str, JobHistory]
    missed: int
    faults: list[str]


async def judge(run: "Run", redis: Redis, told: Seen, times: dict[str, float]) -> Verdict:
    """Look at everything."""
    accepted = run.uploads.accepted
    found = {job_id: await job_reads.read_job(redis, job_id) for job_id in accepted}
    images = {image.image_id: image for job in found.values() for image in job.images}
    ledger = run.world.emulator.submissions()
    lost = [image_id for image_id, image in images.items() if image.status.value not in FINAL]
    broken = [
        *run.faults(),
        *run.uploads.faults,
        *run.uploads.steps.faults,
        *(f"{len(lost)} images never ended, such as {lost[:3]}" for _ in lost[:1]),
        *unknown_jobs(await job_ids(redis), set(accepted)),
        *money.submissions(ledger, images),
        *money.bills(ledger, images),
        *views.sent(ledger, images),
        *money.documents(found, await money.spent(redis)),
        *await money.reservations(redis),
        *counters(await hashes(redis, found), found),
        *codes(images),
        *await files_of(run.world.files, images),
        *await leftovers(run, redis, images),
        *(f"key without a TTL: {name}" for name in await keys_without_ttl(redis)),
        *await queues(redis),
        *histories(told.truth, found),
        *told.faults,
        *(
            f"{slot.name} ended by itself: {', '.join(slot.bad_ends)}"
            for slot in run.world.slots
            if slot.bad_ends
        ),
    ]
    return Verdict(broken, numbers(run, images, ledger, lost, times) | {"states missed": told.missed})


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
        "images in the queue": await redis.zcard(queue_key(Queue.GENERATION.value)),
        "leases": await redis.zcard(key("leases", Queue.GENERATION.value)),
        "permits": await redis.zcard(key("permits")),
    }
    return [f"{count} {what} left" for what, count in left.items() if count]


def histories(truth: dict[str, JobHistory], found: dict[str, JobSnapshot]) -> list[str]:
    """Each job's history has no gap and ends with what its hashes say; no attempt ended twice."""
    broken = []
    for job_id, history in truth.items():
        if history.gap:
            broken.append(f"the history of job {job_id} has a gap")
        broken += [f"{outcome} happened {n} times" for outcome, n in history.outcomes().items() if n > 1]
        for image in found[job_id].images:
            changes = history.images.get(image.image_id, [])
            last = changes[-1].state.status if changes else None
            if last != image.status.value:
                broken.append(f"image {image.image_id} is {image.status.value}, its last event says {last}")
    return broken


def numbers(
    run: "Run",
    images: dict[str, ImageRow],
    ledger: list[dict[str, Any]],
    lost: list[str],
    times: dict[str, float],
) -> dict[str, object]:
    """What is shown of the run."""
    statuses = Counter(image.status.value for image in images.values())
    failed = Counter(image.error.code for image in images.values() if image.error)
    attempts = Counter(entry["tags"]["i2m.attempt"] for entry in ledger)
    bought = {entry["tags"]["i2m.image"] for entry in ledger}
    unconfirmed = [
        i.image_id for i in images.values() if i.error and i.error.code == "submission_unconfirmed"
    ]
    warned = Counter(
        warning.code.value for i in images.values() if i.result is not None for warning in i.result.warnings
    )
    listeners = [*run.jobs.values(), *run.owners]
    return {
        "seed": run.world.size.seed,
        "images": run.world.size.images,
        "accepted": len(images),
        "variants": sum(image.variant is not None for image in images.values()),
        "second steps": sum(image.parent_image_id is not None for image in images.values()),
        "cut-outs": sum(image.preparation is not None for image in images.values()),
        "objects of several views": sum(len(image.views) > 1 for image in images.values()),
        "succeeded": statuses["succeeded"],
        "warnings": dict(warned.most_common()),
        "failed": dict(failed.most_common()),
        "unconfirmed": len(unconfirmed),
        "unconfirmed, yet accepted": sum(image_id in bought for image_id in unconfirmed),
        "worker_crashed": failed["worker_crashed"],
        "lost": len(lost),
        "submissions": len(ledger),
        "submitted twice": sum(count - 1 for count in attempts.values()),
        "images with another attempt": sum(image.attempt > 1 for image in images.values()),
        "kills": run.strikes.kills,
        "faults": dict(run.strikes.done.most_common()),
        "skipped draws": run.strikes.skipped,
        "process starts": sum(slot.starts for slot in run.world.slots),
        "workers that ended by themselves": [
            f"{slot.name} {end}" for slot in run.world.workers for end in slot.bad_ends
        ],
        "upload answers": dict(run.uploads.answers.most_common()),
        "stream connections": {listener.name: listener.connections for listener in run.owners}
        | {"jobs": sum(listener.connections for listener in run.jobs.values())},
        "stream resets": sum(len(listener.resets) for listener in listeners),
        "chaos, s": round(times["chaos"], 1),
        "drain, s": round(times["drain"], 1),
    }
