"""A creation whose reply was lost: did the job come to be? Asked until the store answers again.

Who calls it: the acceptance of a batch, which has answered 503 already. A process that ends meanwhile
leaves the pictures to the cleanup, which takes them where there is no job.
"""

import asyncio
from typing import Final

import structlog
from redis.asyncio import Redis

from image2model.errors import NotFound
from image2model.service.originals import Originals
from image2model.storage.errors import StorageError
from image2model.store import jobs
from image2model.store.connection import StoreOutage
from image2model.telemetry.unexpected import tell_unexpected

_log = structlog.stdlib.get_logger(__name__)
_PAUSE_S: Final = 0.5
_under_way: Final[set[asyncio.Task[None]]] = set()
"""asyncio itself holds tasks only weakly."""


def settle(redis: Redis, originals: Originals, *, keyed: bool) -> None:
    """In the background: keep the pictures of a job that exists, delete those of one that never will.

    `keyed`: the client asks for it again by its idempotency key. Without one nobody would ever ask for it,
    so a job that did come to be is deleted before it costs anything.
    """
    task = asyncio.create_task(_settle(redis, originals, originals.hand_over(), keyed=keyed))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


async def _settle(redis: Redis, originals: Originals, keys: list[str], *, keyed: bool) -> None:
    while True:
        try:
            await _decide(redis, originals, keys, keyed=keyed)
        except (StoreOutage, StorageError):
            await asyncio.sleep(_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - told; the cleanup takes pictures that belong to no job
            tell_unexpected("batch_settlement", error, job_id=originals.job_id)
            return
        else:
            return


async def _decide(redis: Redis, originals: Originals, keys: list[str], *, keyed: bool) -> None:
    made = await jobs.forbid(redis, originals.job_id)
    if not made:
        await originals.storage.delete(keys)
    elif not keyed:
        try:
            await jobs.cancel(redis, originals.job_id, delete=True)
        except NotFound:
            _log.info("batch_deleted_already", job_id=originals.job_id)
    _log.warning("batch_settled", job_id=originals.job_id, made=made, kept=made and keyed)
