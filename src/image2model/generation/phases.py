"""The phases of an image whose pictures are prepared before its model runs: the typed store calls.

Each view whose background is removed is a phase of its own, `cutout:0` and so on, with a paid request by the
same steps as the model's run, which comes last and has no phase. `advance` ends a phase: it alone moves an
image to the next one. All calls are fenced, and raise StaleFence and StoreOutage.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from redis.asyncio import Redis

from image2model.domain import ImageError, ImageStatus, Preparation, ScaledPicture
from image2model.errors import StaleFence
from image2model.generation import steps
from image2model.generation.loading import Task
from image2model.generation.steps import Field
from image2model.queue.retry import retry_until_stored, until_stored
from image2model.store.connection import command
from image2model.store.keys import key
from image2model.store.scripts import Script

_ADVANCE: Final = Script("generation/advance")
_AWAIT: Final = Script("generation/await_confirmation")
_CUTOUT: Final = "cutout:"
CONFIRM_WITHIN_S: Final = 86_400
"""How long prepared pictures wait for a client's confirmation."""
_NO_BUDGET: Final = ImageError(
    code="budget_exceeded",
    message="The budget does not cover what this picture still needs after its preparation, which is kept: a "
    "retry pays only for the rest.",
    retryable=True,
)
_preparation: Final = msgspec.json.Decoder(Preparation)


class Advanced(IntEnum):
    """What became of an image whose phase has ended. `NO_BUDGET`: it has failed."""

    NO_BUDGET = -4
    CANCELLED = -1
    STALE = 0
    ON = 1


class Awaited(IntEnum):
    """Whether an image waits for its confirmation now."""

    CANCELLED = -1
    STALE = 0
    WAITING = 1
    CONFIRMED = 2


def cutout_index(task: Task) -> int:
    """Which view the image's phase cuts out."""
    return int(task.phase.removeprefix(_CUTOUT))


def leaving(task: Task) -> tuple[Field, ...]:
    """The fields of an image that takes the model of another one, whatever its phase is."""
    return ("phase", "", "phase_model", "", "digest", task.main_digest, "later_micro", "", "reuse_main", "")


@until_stored
async def advance(redis: Redis, task: Task, fence: str, preparation: Preparation) -> Advanced:
    """End the image's phase; `preparation` has its cut-out. Repeats until stored."""
    following = _CUTOUT + str(cutout_index(task) + 1)
    is_cutout = cutout_index(task) + 1 < max(1, len(task.views))
    next_phase = (
        (following, task.model, task.cutout_digests[cutout_index(task) + 1])
        if is_cutout
        else ("", "", task.main_digest)
    )
    error = msgspec.json.encode(_NO_BUDGET).decode()
    done = await _ADVANCE.packed(
        redis, task.image_id, fence, task.phase, encoded(preparation), next_phase, error
    )
    advanced = Advanced(done)
    if advanced is Advanced.STALE:
        raise StaleFence(f"image {task.image_id} is held by another worker")
    return advanced


async def note_prepared(
    redis: Redis, task: Task, fence: str, preparation: Preparation, scaled: Sequence[ScaledPicture] = ()
) -> None:
    """Store that the pictures are prepared, and which were made smaller for it, and show it to clients."""
    fields = (
        "preparation",
        encoded(preparation),
        *steps.scaled_fields(task, range(len(preparation.files)), scaled),
    )
    await steps.move(redis, task.image_id, fence, ImageStatus.PREPARING, *fields)


@until_stored
async def await_confirmation(redis: Redis, task: Task, fence: str) -> Awaited:
    """Let the image wait for its confirmation, without lease and permit: with WAITING it is held no more."""
    done = await _AWAIT.packed(redis, task.image_id, fence, CONFIRM_WITHIN_S * 1000)
    awaited = Awaited(done)
    if awaited is Awaited.STALE:
        raise StaleFence(f"image {task.image_id} is held by another worker")
    return awaited


async def preparation_of(redis: Redis, image_id: str) -> Preparation | None:
    """How far another image's preparation is; None if it has none, or is gone."""
    text = await command(redis, "HGET", key("image", image_id), "preparation")
    return _preparation.decode(text) if text else None


async def cost_so_far(redis: Redis, image_id: str) -> int:
    """Micro-dollars that the image has cost."""
    micro = await retry_until_stored(lambda: command(redis, "HGET", key("image", image_id), "cost_micro"))
    return int(micro or 0)


def encoded(preparation: Preparation) -> str:
    """As it is stored."""
    return msgspec.json.encode(preparation).decode()
