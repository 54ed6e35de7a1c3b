"""The random steps of `random_steps`, of images whose pictures are prepared: phases, and confirmations.

Used by the test that looks at the money and the queue after each of them.
"""

from collections.abc import Awaitable, Callable

import msgspec
from redis.asyncio import Redis

from image2model.domain import Cutout, ImageError, Preparation, PreparedPicture
from image2model.errors import StaleFence
from image2model.generation import loading, phases, steps
from image2model.generation.loading import Task
from image2model.jobs import records
from image2model.jobs.confirmation import confirm
from image2model.queue import confirmations, leases
from image2model.store.keys import Queue, key
from tests.support.endpoint_steps import GOOD
from tests.support.jobs import RESULT, new_job
from tests.support.random_steps import PRICE, TERMS, S, Sequence

REMOVER = "fal-ai/bria/background/remove"
CUTOUT_PRICE = 7
FILE = PreparedPicture(key="k", format="png", size=1, width=1, height=1)


async def end_phase(redis: Redis, task: Task, fence: str) -> None:
    """What FAL, or another image, has made of the view becomes the image's."""
    before = task.preparation or Preparation()
    index = phases.cutout_index(task)
    made = Cutout(key=f"cutout-{index}", digest=task.digest)
    preparation = msgspec.structs.replace(before, cutouts=(*before.cutouts[:index], made))
    await phases.advance(redis, task, fence, preparation)


async def prepare(redis: Redis, task: Task, fence: str) -> bool:
    """The pictures are arranged; whether the model's run may begin."""
    if task.preparation is None or task.phase:
        return True
    preparation = task.preparation
    if not preparation.files:
        preparation = msgspec.structs.replace(preparation, files=(FILE,))
        await phases.note_prepared(redis, task, fence, preparation)
    if not preparation.awaits_confirmation:
        return True
    return await phases.await_confirmation(redis, task, fence) is phases.Awaited.CONFIRMED


async def take_what_is_there(redis: Redis, task: Task, fence: str) -> None:
    """Another image's model, or its cut-out."""
    if task.phase and not task.reuse_main:
        return await end_phase(redis, task, fence)
    leaving = phases.leaving(task) if task.phase else ()
    return await steps.take_result(redis, task.image_id, fence, RESULT, *leaving)


class PreparedSequence(Sequence):
    """Those of one seed."""

    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        ways = [self.cut_out, self.cut_out, self.cut_out, self.reuse, self.wait, self.pick]
        return [*super().steps(), *ways, *ways, *ways, self.look, self.look, self.look, self.expire]

    async def create(self) -> None:
        views = self.dice.choice([0, 1, 1, 2])
        wanted = Preparation(
            remove_background=REMOVER if views else None,
            crop=True,
            confirm_prepared=self.dice.random() < 0.5,
        )
        cut = self.dice.choice(["", "", "c1"])
        job = new_job(
            self.dice.randint(1, 3),
            "ann",
            model=GOOD,
            digest=self.dice.choice(["", "d1", "d2"]) if cut else "",
            unit_micro=PRICE,
            cutout_micro=CUTOUT_PRICE,
            preparation=wanted,
            cutout_digests=tuple(cut and f"{cut}-{n}" for n in range(views)),
        )
        await records.create(self.redis, job, None, TERMS)
        self.jobs.append(job.job_id)

    async def send_one(self, claim: leases.Claim) -> None:
        task = await loading.load(self.redis, claim.task_id)
        fresh = not (task.request or task.posting_at or task.reuse_of)
        if fresh and task.status is S.PREPARING and not await prepare(self.redis, task, claim.token):
            return
        await super().send_one(claim)

    async def end(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        if not task.phase:
            return await super().end()
        if self.dice.random() < 0.3:
            error = ImageError("generation_failed", "x", retryable=True)
            return await steps.fail(self.redis, claim.task_id, claim.token, error)
        if task.status is not S.STORING:
            raise StaleFence("nothing is made yet")
        return await self.twice(lambda: end_phase(self.redis, task, claim.token))

    async def cut_out(self) -> None:
        """A phase from its request to its end, which may break off at each step."""
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        if not task.phase:
            return
        if task.request is None:
            await self.send_one(claim)
            task = await loading.load(self.redis, claim.task_id)
        if task.request is None or not task.phase or self.dice.random() < 0.1:
            return
        if task.status is not S.STORING:
            await steps.move(self.redis, claim.task_id, claim.token, S.STORING)
        if self.dice.random() < 0.9:
            await self._take_money(task)
            await self.twice(lambda: end_phase(self.redis, task, claim.token))
        if self.dice.random() < 0.9:
            await _give_back(self.redis, claim)

    async def reuse(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        if task.reuse_of and task.request is None:
            if self.dice.random() < 0.2:
                return await steps.give_up_reuse(self.redis, claim.task_id, claim.token, task)
            await take_what_is_there(self.redis, task, claim.token)
        return None

    async def wait(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        if task.status is S.PREPARING and not task.posting_at and not task.reuse_of:
            await prepare(self.redis, task, claim.token)

    async def look(self) -> None:
        """A client gives its answer, perhaps to an image that does not wait."""
        job_id = self.job()
        ids = (await self.redis.hget(key("job", job_id), "image_ids") or b"").decode().split()
        if ids:
            image_id, accept = self.dice.choice(ids), self.dice.random() < 0.8
            await self.twice(lambda: confirm(self.redis, "ann", job_id, image_id, accept=accept))

    async def expire(self) -> None:
        waiting = await self.redis.zrange(key("confirmations"), 0, 0)
        if waiting and self.dice.random() < 0.3:
            await self.redis.zadd(key("confirmations"), {waiting[0]: 1})
        await confirmations.expire(self.redis)


async def finish(redis: Redis, claim: leases.Claim) -> bool:
    """One step of an image that is left, where it is one of a preparation; False: of the model's run."""
    task = await loading.load(redis, claim.task_id)
    if task.request is not None and task.phase:
        await steps.move(redis, task.image_id, claim.token, S.STORING)
        await end_phase(redis, task, claim.token)
        await _give_back(redis, claim)
        return True
    if task.reuse_of and task.request is None and task.phase:
        await take_what_is_there(redis, task, claim.token)
        await _give_back(redis, claim)
        return True
    fresh = not (task.request or task.posting_at or task.reuse_of)
    return fresh and not await prepare(redis, task, claim.token)


async def _give_back(redis: Redis, claim: leases.Claim) -> None:
    await leases.release(
        redis, Queue.GENERATION, claim.task_id, claim.token, finished=False, score=claim.score
    )
