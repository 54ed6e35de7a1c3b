"""All events of one owner's jobs. Who calls it: the relay."""

import asyncio

from redis.asyncio import Redis

from image2model.api.events import frame
from image2model.api.events.frame import Frame
from image2model.api.events.topic import PAGE, Mark, Opening, Page, Resume, Topic
from image2model.errors import NotFound
from image2model.service.documents import JobHead, job_head
from image2model.store import events, job_reads
from image2model.store.events import Event


class OwnerTopic(Topic):
    """Positions are the owner's sequence numbers."""

    def __init__(self, redis: Redis, owner: str, gate: asyncio.Semaphore) -> None:
        super().__init__(redis, owner, gate, owner)

    async def _open(self, resume: Resume) -> Opening | None:
        """See `Topic.open`. Such a stream never ends, so something may always follow."""
        first, last = await events.reach_of_owner(self.redis, self.owner)
        if resume.last_id is not None and resume.within(first, last):
            return Opening(resume.last_id)
        # The jobs are read after the number, so they are at least as new: what follows repeats, never lacks.
        return Opening(last, (frame.owner_opening(last, await self._heads(), reset=resume.given),))

    async def _heads(self) -> list[JobHead]:
        heads = []
        for job_id in await job_reads.active_jobs(self.redis, self.owner):
            try:
                snapshot = await job_reads.read_job(self.redis, job_id, images=False)
            except NotFound:
                continue  # deleted since
            if snapshot.job.finished_at is None:
                heads.append(job_head(snapshot))
        return heads

    async def _latest(self) -> tuple[int, Mark | None]:
        last = (await events.reach_of_owner(self.redis, self.owner))[1]
        return last, await self.mark_at(last) if last else None

    async def mark_at(self, position: int) -> Mark | None:
        """See `Topic.mark_at`."""
        found = await events.place_of_owner(self.redis, self.owner, position)
        return Mark(*found) if found else None

    async def _page(self, after: int) -> Page:
        found = await events.of_owner(self.redis, self.owner, after, PAGE)
        if not found:
            return Page([])
        frames = [frame.of_owner(seq, event) for seq, event in found if event is not None]
        return Page(frames, found[0][0], found[-1][0])

    def _frame(self, position: int, event: Event) -> Frame:
        return frame.of_owner(position, event)
