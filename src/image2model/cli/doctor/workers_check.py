"""Does a worker live for each queue, and does a queue stand still?

Who calls it: the examination, once Redis has answered.
"""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.cli.doctor.store_check import no_answer
from image2model.store import fleet
from image2model.store.endpoints import EndpointState

_PART: Final = "workers"


async def check_workers(redis: Redis) -> list[Finding]:
    """One finding for the workers, one for each queue that nobody serves or that is paused, and for each
    endpoint of FAL's that is refused or fails."""
    try:
        state = await fleet.read(redis)
    except RedisError as error:
        return [no_answer(_PART, error)]
    if not state.workers:
        return [broken(_PART, "none is alive", "start `image2model worker`, or `image2model up`")]
    running = sum(worker.beat.running for worker in state.workers)
    return [
        ok(_PART, f"{len(state.workers)} alive, {running} tasks running"),
        *(finding for queue in state.queues for finding in _queue(queue, state)),
        *(_endpoint(one) for one in state.endpoints),
    ]


def _endpoint(state: EndpointState) -> Finding:
    said = f"FAL does not take {state.model} ({state.waiting} wait): {state.words}"
    return warning(_PART, said, "other models go on; where FAL refuses it, ask FAL for access")


def _queue(queue: fleet.QueueState, state: fleet.FleetState) -> list[Finding]:
    findings = []
    if not any(queue.queue in worker.beat.queues for worker in state.workers):
        findings.append(
            broken(_PART, f"none serves {queue.queue}", f"start `image2model worker --queues {queue.queue}`")
        )
    if queue.paused:
        reasons = ", ".join(queue.paused)
        findings.append(
            warning(_PART, f"{queue.queue} is paused ({reasons}), {queue.waiting} wait", "mend the cause")
        )
    return findings
