"""What the emulator still holds, and the list of what must be deleted there."""

from collections.abc import Callable
from typing import Any, Final

from image2model.generation import fal_deletions
from image2model.generation.fal_deletions import DeletionState
from image2model.store.arq_keys import queue_key
from image2model.store.keys import Queue, key
from tests.support.fleet import Fleet
from tests.support.wait import until

ADMIN_KEY: Final = "admin-id:admin-secret"
PRIVATE: Final = {"I2M_FAL_PRIVACY": "private", "I2M_FAL_ADMIN_KEY": ADMIN_KEY}


def held(fleet: Fleet) -> dict[str, Any]:
    """The emulator's document."""
    return dict(fleet.emulator.http.get("/_emulator/privacy").raise_for_status().json())


def outputs(fleet: Fleet, *, partner: bool = False) -> list[str]:
    """Paths of the output files that FAL still has, a partner's only if asked for."""
    files = held(fleet)["files"]
    return [one["path"] for one in files if one["kind"] == "output" and one["partner"] is partner]


def left_at_fal(fleet: Fleet) -> tuple[list[str], list[str]]:
    """Output files and payloads that FAL still has."""
    return outputs(fleet), held(fleet)["payloads"]


async def until_nothing_is_left(fleet: Fleet, timeout: float = 40) -> None:
    """FAL holds no output and no payload any more."""

    async def nothing() -> bool:
        return left_at_fal(fleet) == ([], [])

    await until(nothing, timeout=timeout)


async def until_listed(
    fleet: Fleet, condition: Callable[[DeletionState], bool], timeout: float = 40
) -> DeletionState:
    """The list once it is so."""

    async def fits() -> bool:
        return condition(await fal_deletions.read(fleet.redis))

    await until(fits, timeout=timeout)
    return await fal_deletions.read(fleet.redis)


async def try_now(fleet: Fleet) -> None:
    """What is to be deleted is due now, whatever the gap after its last try."""
    redis = fleet.redis
    await redis.hdel(key("fal_deletion_state"), "blocked_until")
    for request in await redis.zrange(key("fal_deletions"), 0, -1):
        await redis.zadd(key("fal_deletions"), {request: 1})
    await fal_deletions.schedule(redis)


async def refresh_now(fleet: Fleet, image_id: str, number: int) -> None:
    """The refresh that nobody asked for is due now."""
    await fleet.redis.zadd(queue_key(Queue.BATCH), {f"refresh:{image_id}:{number}": 1}, xx=True)


def check_deletions(fleet: Fleet) -> None:
    """No request was deleted before its end, no file read with a key, and none kept out of FAL's store."""
    document = held(fleet)
    assert {one["phase"] for one in document["deletions"]} <= {"COMPLETED"}
    assert (document["keyed_reads"], document["store_io"]) == (0, [])
