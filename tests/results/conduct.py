"""One run of the table: every case at once, then again by reuse or by retry, and what was wrong of it.

Used by the table's tests and by the long run of all pairs.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from image2model.money import to_micro
from tests.results.oracle import Expected, expected
from tests.results.table import Case, endpoint_of, name_of
from tests.results.world import World

_FIRST = 1000
_AT_ONCE = 16


class Run:
    """`wrong` says what broke a promise, each line with the case's name."""

    def __init__(self, world: World, cases: Sequence[Case], seconds: float) -> None:
        self.world = world
        self.wrong: list[str] = []
        self._seconds = seconds
        self._cases = {_FIRST + n: case for n, case in enumerate(cases)}
        self.met = dict(self._cases)
        """What FAL's answers really meet: a test of this file itself makes it differ."""
        self._expected: dict[int, Expected] = {}
        self._costs: dict[str, int] = {}
        """Micro-dollars by job."""

    async def all(self) -> list[str]:
        """Every case by a first upload; successes again by reuse, failures by a retry that FAL does well."""
        proxy = self.world.proxy
        proxy.alterations = dict(self.met)
        jobs = await self._uploaded(list(self._cases))
        ends = await self._ended(jobs)
        for number, image in ends.items():
            found = proxy.of(number)
            if not found:
                self._complain(number, "never reached FAL")
                continue
            seen = found[-1]
            if seen.output is not None:
                await proxy.learn(seen)
            self._expected[number] = expected(proxy, self._cases[number], seen)
            await self._judge(number, jobs[number], image, self._expected[number])
        await self._reuse([number for number, image in ends.items() if image["status"] == "succeeded"])
        await self._retry({n: jobs[n] for n, image in ends.items() if image["status"] == "failed"})
        await self._accounts()
        return self.wrong

    def _complain(self, number: int, text: str) -> None:
        self.wrong.append(f"{name_of(self._cases[number])}: {text}")

    async def _uploaded(self, numbers: Sequence[int]) -> dict[int, str]:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> str:
            async with limit:
                return await self.world.upload(number, endpoint_of(self._cases[number]))

        return dict(zip(numbers, await asyncio.gather(*map(one, numbers)), strict=True))

    async def _ended(self, jobs: dict[int, str]) -> dict[int, dict[str, Any]]:
        ends = await self.world.ended(list(jobs.values()), self._seconds)
        for number, job_id in jobs.items():
            if job_id not in ends:
                image = await self.world.image(job_id)
                self._complain(number, f"no end within {self._seconds:g} s: {image['status']}")
        return {number: ends[job_id] for number, job_id in jobs.items() if job_id in ends}

    async def _judge(self, number: int, job_id: str, image: dict[str, Any], due: Expected) -> None:
        posts = len(self.world.proxy.of(number))
        if posts != due.attempts or posts != image["attempt"]:
            self._complain(number, f"{posts} POSTs in {image['attempt']} attempts, due {due.attempts}")
        if due.models:
            await self._judge_model(number, job_id, image, due)
        elif image["status"] != "failed" or image["error"]["code"] not in due.codes:
            said = image["error"] and image["error"]["code"]
            self._complain(number, f"{image['status']} {said}, due {sorted(due.codes)}")
        elif due.words is not None and due.words not in image["error"]["message"]:
            self._complain(number, f"FAL's words are lost: {image['error']['message']!r}")
        self._judge_cost(number, job_id, image, due.micro)
        if due.uncertain is not None and image["cost_uncertain"] != due.uncertain:
            self._complain(number, f"cost_uncertain is {image['cost_uncertain']}")

    async def _judge_model(self, number: int, job_id: str, image: dict[str, Any], due: Expected) -> None:
        if image["status"] != "succeeded":
            self._complain(number, f"a lost model: {image['error']}")
            return
        content = await self.world.model(job_id, image["image_id"])
        if content not in due.models:
            self._complain(number, f"another model: {len(content)} bytes, due {[len(m) for m in due.models]}")
        warnings = image["result"]["warnings"]
        missing = [one for one in warnings if one["code"] in {"file_missing", "file_refused"}]
        if len(missing) < due.lost:
            self._complain(number, f"{due.lost} files are lost, warnings: {warnings}")
        if missing and not due.lost:
            self._complain(number, f"nothing is lost, warnings: {missing}")

    def _judge_cost(self, number: int, job_id: str, image: dict[str, Any], micro: int) -> None:
        self._costs[job_id] = micro
        cost = to_micro(str(image["cost_usd"])) if image["cost_usd"] is not None else 0
        if (cost, to_micro(str(image["job_cost_usd"]))) != (micro, micro):
            self._complain(
                number, f"costs {image['cost_usd']}, job {image['job_cost_usd']}, due {micro / 1e6}"
            )

    async def _reuse(self, numbers: list[int]) -> None:
        """The same pictures again: nothing is bought, and the same bytes are handed over."""
        jobs = await self._uploaded(numbers)
        for number, image in (await self._ended(jobs)).items():
            due = self._expected[number]
            if image["status"] != "succeeded" or not image["cached"]:
                self._complain(
                    number, f"by reuse {image['status']}, cached {image['cached']}: {image['error']}"
                )
            elif await self.world.model(jobs[number], image["image_id"]) not in due.models:
                self._complain(number, "by reuse another model")
            if len(self.world.proxy.of(number)) != due.attempts:
                self._complain(number, "by reuse one more POST")
            self._judge_cost(number, jobs[number], image, 0)

    async def _retry(self, jobs: dict[int, str]) -> None:
        """The failed ones again, FAL being well: they succeed, and cost one more run."""
        for number in jobs:
            self.world.proxy.alterations.pop(number)
        await asyncio.gather(*map(self.world.retry, jobs.values()))
        for number, image in (await self._ended(jobs)).items():
            if image["status"] != "succeeded":
                self._complain(number, f"by retry {image['status']}: {image['error']}")
                continue
            due, seen = self._expected[number], self.world.proxy.of(number)
            await self.world.proxy.learn(seen[-1])
            fresh = expected(self.world.proxy, (), seen[-1])
            if len(seen) != due.attempts + 1:
                self._complain(number, f"by retry {len(seen)} POSTs, due {due.attempts + 1}")
            if await self.world.model(jobs[number], image["image_id"]) not in fresh.models:
                self._complain(number, "by retry another model")
            self._judge_cost(number, jobs[number], image, due.micro + fresh.micro)

    async def _accounts(self) -> None:
        """What the account and the spend table say is the sum of what the jobs cost, and nothing is held."""
        total, usage, spent = sum(self._costs.values()), await self.world.usage(), await self.world.spent()
        if (usage.spent, usage.reserved, spent) != (total, 0, total):
            self.wrong.append(f"accounts: {usage}, spend table {spent}, due {total} and nothing held")
        self.wrong += [f"FAL's key was sent for {path}" for path in self.world.proxy.leaks]
        self.wrong += [f"the proxy failed: {error}" for error in self.world.proxy.errors]
