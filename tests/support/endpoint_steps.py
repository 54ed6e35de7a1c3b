"""Steps of the tests of FAL's endpoints: refuse, fail, probe, as workers would have it.

Used by the tests of who waits for an endpoint and of what opens and closes its circuit.
"""

from redis.asyncio import Redis

from image2model.generation import steps
from image2model.queue import circuits, leases
from image2model.queue.circuits import Fault, FaultOutcome, Pace
from image2model.queue.leases import Claim
from image2model.store.keys import Queue
from tests.support.circuits import open_circuits
from tests.support.leases import pick
from tests.support.wait import until

GOOD, BAD, WORSE = "tripo3d/tripo/v2.5/image-to-3d", "fal-ai/trellis", "fal-ai/triposr"
WORDS = "You do not have access to this model."
SOON = Pace(first_gap_s=0.02, last_gap_s=0.05, probe_within_s=30)
LATER = Pace(first_gap_s=60, last_gap_s=600, probe_within_s=30)
PATIENT = 3600.0


async def refuse(redis: Redis, claim: Claim, pace: Pace = SOON) -> FaultOutcome:
    """FAL answers this image's POST with 403, and its worker lets it go."""
    counted = await fault(redis, claim, Fault.REFUSED, pace)
    await steps.try_again(redis, claim.task_id, claim.token, used_attempt=False, endpoint=True)
    await release(redis, claim)
    return counted


async def fault(redis: Redis, claim: Claim, kind: Fault, pace: Pace = SOON) -> FaultOutcome:
    return await circuits.count_endpoint_fault(redis, claim.task_id, kind, WORDS, status=403, pace=pace)


async def release(redis: Redis, claim: Claim) -> None:
    await leases.release(
        redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
    )


async def tend(redis: Redis, patience_s: float = PATIENT, pace: Pace = SOON) -> dict[str, str]:
    return dict((await circuits.maintain_endpoints(redis, patience_s=patience_s, pace=pace)).open)


async def next_probe(redis: Redis, model: str = BAD, pace: Pace = SOON, but: str = "") -> Claim:
    """Wait until an image is let through, and pick it."""

    async def chosen() -> bool:
        return (await tend(redis, pace=pace)).get(model, "") not in {"", but}

    await until(chosen)
    (claim,) = await pick(redis)
    return claim


async def waiting(redis: Redis, model: str = BAD) -> int:
    return sum(one.waiting for one in await open_circuits(redis) if one.model == model)


async def until_open_by(redis: Redis, kind: Fault, claims: list[Claim], pace: Pace = LATER) -> None:
    """Five failures in a row."""
    for claim in claims[:4]:
        assert await fault(redis, claim, kind, pace) == FaultOutcome(False, "")
    assert (await fault(redis, claims[4], kind, pace)).open
