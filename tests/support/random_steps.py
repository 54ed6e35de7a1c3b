"""Random steps of workers, clients and FAL on a store, in any order and perhaps reported twice.

Used by the test that looks at the money and the queue after each of them.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from image2model.access.accounts import Allowance
from image2model.access.keys import Budget
from image2model.domain import FalRequest, ImageError, ImageStatus
from image2model.errors import NoBudgetLeft, NotFound, Problem, StaleFence
from image2model.generation import costs, loading, steps
from image2model.generation.costs import Booking, Outcome
from image2model.generation.loading import Task
from image2model.jobs import records
from image2model.operations import housekeeping
from image2model.queue import circuits, leases, permits, reconciliation
from image2model.queue.circuits import Fault, Pace
from image2model.store import job_reads
from image2model.store.durability import Replicas
from image2model.store.keys import Queue, key
from tests.support.endpoint_steps import BAD, GOOD, WORSE
from tests.support.jobs import RESULT, make_job

S = ImageStatus
PACE = Pace(first_gap_s=0.001, last_gap_s=0.002, probe_within_s=0.005)
PRICE = 100
TERMS = Allowance(key="", max_queued=100, budget=Budget(8_000, "total"))
CODES = ("generation_failed", "unexpected_error", "submission_unconfirmed")


class Sequence:
    """Those of one seed.

    `claims` are leases that were given out, also those that are another's by now; `fences` the present ones.
    `booked` is what each request was booked with, `log` tells what was done.
    """

    def __init__(self, redis: Redis, seed: int) -> None:
        self.redis = redis
        self.dice = random.Random(seed)
        self.jobs: list[str] = []
        self.claims: list[leases.Claim] = []
        self.attempts: dict[str, list[str]] = {}
        self.booked: Counter[str] = Counter()
        self.log: list[str] = []
        self.number = 0
        self.fences: set[str] = set()

    async def step(self) -> None:
        """One of them, perhaps twice: the reply to the first was lost."""
        step = self.dice.choice(self.steps())
        self.log.append(step.__name__)
        try:
            await step()
        except (StaleFence, NoBudgetLeft, Problem) as refused:
            self.log[-1] += f" ({type(refused).__name__})"
        except Exception as error:
            error.add_note("\n".join(self.log))
            raise

    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        usual = [self.pick, self.send, self.send, self.commit, self.go_on, self.go_on, self.book, self.end]
        rare = [self.take, self.mark, self.release, self.again, self.again, self.blame, self.tend, self.crash]
        clients = [self.create, self.create, self.retry, self.cancel, self.late_word, self.erase]
        return [
            *usual,
            *usual,
            *usual,
            *rare,
            *clients,
            self.not_sent,
            self.housekeeping,
            self.pause,
            self.crash,
        ]

    def claim(self) -> leases.Claim:
        if not self.claims:
            raise StaleFence("nothing is held")
        recent = self.claims[-8:]
        held = [claim for claim in recent if claim.token in self.fences]
        return self.dice.choice(held if held and self.dice.random() < 0.9 else recent)

    async def twice(self, call: Callable[[], Awaitable[object]]) -> None:
        await call()
        if self.dice.random() < 0.3:
            await call()

    async def create(self) -> None:
        job = await make_job(
            self.redis,
            self.dice.randint(1, 3),
            model=self.dice.choice([GOOD, BAD, WORSE]),
            digest=self.dice.choice(["", "d1", "d2"]),
            allowance=TERMS,
            unit_micro=PRICE,
        )
        self.jobs.append(job.job_id)

    async def pick(self) -> None:
        self.claims += (
            await leases.pick(
                self.redis, Queue.GENERATION, "w", free=2, reserve=2, lease_s=600, max_permits=4
            )
        ).claims

    async def take(self) -> None:
        claim = self.claim()
        self.number += 1
        token = f"t{self.number}"
        wanted = permits.PermitRequest(claim.task_id, claim.token, token, f"http://cdn/{token}")
        if await permits.take(self.redis, [wanted], max_permits=4) == [permits.Permit.GRANTED]:
            self.attempts.setdefault(claim.task_id, []).append(token)

    async def send(self) -> None:
        """The usual way, which may break off."""
        await self.send_one(self.claim())

    async def send_one(self, claim: leases.Claim) -> None:
        task = await loading.load(self.redis, claim.task_id)
        if task.request or task.posting_at or task.reuse_of:
            return
        self.number += 1
        token = f"t{self.number}"
        wanted = permits.PermitRequest(claim.task_id, claim.token, token, f"http://cdn/{token}")
        if await permits.take(self.redis, [wanted], max_permits=4) != [permits.Permit.GRANTED]:
            return
        self.attempts.setdefault(claim.task_id, []).append(token)
        await steps.mark_posting(Replicas(self.redis), claim.task_id, claim.token)
        if self.dice.random() < 0.7:
            request = FalRequest(f"r-{token}", "http://s", "http://r", "http://c")
            await steps.commit_submission(Replicas(self.redis), claim.task_id, claim.token, token, request)

    async def mark(self) -> None:
        claim = self.claim()
        if (await loading.load(self.redis, claim.task_id)).attempt_token:
            await steps.mark_posting(Replicas(self.redis), claim.task_id, claim.token)

    def attempt_of(self, image_id: str) -> str:
        known = self.attempts.get(image_id)
        if not known:
            raise StaleFence("never sent")
        return self.dice.choice(known[-2:])

    async def commit(self) -> None:
        claim = self.claim()
        attempt = self.attempt_of(claim.task_id)
        request = FalRequest(f"r-{attempt}", "http://s", "http://r", "http://c")
        fence = self.dice.choice([claim.token, ""])
        await self.twice(
            lambda: steps.commit_submission(Replicas(self.redis), claim.task_id, fence, attempt, request)
        )

    async def go_on(self) -> None:
        claim = self.claim()
        await steps.move(self.redis, claim.task_id, claim.token, self.dice.choice([S.GENERATING, S.STORING]))

    async def book(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        await self._take_money(task)

    async def _take_money(self, task: Task) -> None:
        if task.request is None:
            return
        booking = Booking(
            image_id=task.image_id,
            owner=task.owner,
            model=task.model,
            request_id=task.request.request_id,
            micro=self.dice.choice([0, PRICE, PRICE // 2, 3 * PRICE]),
            uncertain=False,
            nonce=str(self.dice.random()),
        )
        await self.twice(lambda: self._book(booking))

    async def late_word(self) -> None:
        """A webhook for an attempt, whoever is at the image by now."""
        image_id = self.claim().task_id
        attempt = self.attempt_of(image_id)
        booking = Booking(
            image_id=image_id,
            owner=None,
            model=None,
            request_id=f"r-{attempt}",
            micro=None,
            uncertain=True,
            nonce=str(self.dice.random()),
            attempt=attempt,
        )
        await self.twice(lambda: self._book(booking))

    async def _book(self, booking: Booking) -> None:
        booked = await costs.record_booking(self.redis, booking)
        if booked.outcome is Outcome.BOOKED:
            known = self.booked.setdefault(booking.request_id, booked.micro)
            assert known == booked.micro

    async def end(self) -> None:
        claim = self.claim()
        if self.dice.random() < 0.5:
            await steps.succeed(self.redis, claim.task_id, claim.token, RESULT)
        else:
            error = ImageError(self.dice.choice(CODES), "x", retryable=True)
            await steps.fail(self.redis, claim.task_id, claim.token, error, unknown=self.dice.random() < 0.3)

    async def again(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        used = task.status is S.STORING or bool(task.posting_at and task.request is None)
        if task.request is not None and not used:
            return
        await self.twice(
            lambda: steps.try_again(
                self.redis,
                claim.task_id,
                claim.token,
                used_attempt=used,
                unknown=used and task.request is None,
                endpoint=self.dice.random() < 0.5,
                start_timeout_s=60,
            )
        )

    async def release(self) -> None:
        claim = self.claim()
        await self.twice(
            lambda: leases.release(
                self.redis,
                Queue.GENERATION,
                claim.task_id,
                claim.token,
                finished=self.dice.random() < 0.3,
                score=claim.score,
                delay_ms=self.dice.choice([None, None, 0, 2]),
            )
        )

    async def blame(self) -> None:
        kind, status = self.dice.choice(list(Fault)), self.dice.choice([403, 502])
        await circuits.count_endpoint_fault(
            self.redis, self.claim().task_id, kind, "x", status=status, pace=PACE
        )

    async def tend(self) -> None:
        await circuits.maintain_endpoints(self.redis, patience_s=self.dice.choice([0.01, 60]), pace=PACE)
        if await circuits.claim_probe(self.redis):
            await circuits.allow_trial(self.redis)

    async def crash(self) -> None:
        """A worker dies, perhaps in a hazardous step."""
        claim = self.claim()
        if self.dice.random() < 0.7:
            alone = self.dice.random() < 0.5
            await steps.enter_hazard(self.redis, claim.task_id, claim.token, alone=alone)
        await self.redis.zadd(key("leases", Queue.GENERATION), {claim.task_id: 1}, xx=True)
        await leases.sweep(self.redis, Queue.GENERATION, lease_s=600)

    async def retry(self) -> None:
        wanted: list[dict[str, object] | None] = [None, None, {"texture": "no"}]
        params = self.dice.choice(wanted)
        terms = self.dice.choice([TERMS, None])
        job_id = self.job()
        await self.twice(
            lambda: records.retry(self.redis, job_id, None, params, low_priority=False, allowance=terms)
        )

    def job(self) -> str:
        if not self.jobs:
            raise NotFound("none yet")
        return self.dice.choice(self.jobs)

    async def cancel(self) -> None:
        if self.dice.random() < 0.3:
            await records.cancel(self.redis, self.job(), delete=self.dice.random() < 0.3)

    async def erase(self) -> None:
        job_id = self.job()
        if self.dice.random() < 0.5:
            if await self.redis.hget(key("job", job_id), "finished_at") and self.dice.random() < 0.3:
                await self.redis.hset(key("job", job_id), "expires_at", "1")
                await housekeeping.erase(self.redis, job_id)
                self.jobs.remove(job_id)
        elif await job_reads.may_be_erased(self.redis, job_id):
            await records.erase(self.redis, job_id)
            self.jobs.remove(job_id)

    async def not_sent(self) -> None:
        claim = self.claim()
        task = await loading.load(self.redis, claim.task_id)
        if task.attempt_token:
            await steps.not_sent(self.redis, claim.task_id, task.attempt_token)

    async def housekeeping(self) -> None:
        await reconciliation.release_unused_permits(self.redis)
        for job_id in await reconciliation.unfinished_jobs(self.redis):
            assert await reconciliation.repair(self.redis, job_id) == 0, "something had to be repaired"
        if self.dice.random() < 0.1:
            for name in await self.redis.zrange(key("holds"), 0, 0):
                await self.redis.zadd(key("holds"), {name: 1})
            await costs.release_holds(self.redis)

    async def pause(self) -> None:
        change = circuits.pause_queue if self.dice.random() < 0.2 else circuits.resume_queue
        await change(self.redis, Queue.GENERATION)
