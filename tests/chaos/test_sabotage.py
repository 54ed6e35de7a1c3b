"""Each promise broken on purpose, in a world that kept them all: the suite must say so, in these words.

What can be undone is broken in one quiet run that the tests of this module share; what cannot, and what
belongs to the run itself, is broken in a short run of its own.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from image2model.client.events import ServerSentEvent
from image2model.domain import ImageStatus
from image2model.store import job_reads
from image2model.store.connection import connect
from image2model.store.keys import key
from image2model.store.records import ImageRow
from tests.chaos.draws import KINDS, Draw, Kind
from tests.chaos.driver import Run, run, running
from tests.chaos.history import JobHistory
from tests.chaos.listener import Listener, Manner
from tests.chaos.streams import streams
from tests.chaos.verdict import Seen, judge
from tests.chaos.world import Size
from tests.support.emulator_process import KEY
from tests.support.fleet import MODEL
from tests.support.wait import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400), pytest.mark.long]
TIMES = {"chaos": 0.0, "drain": 0.0}
QUIET = Size(images=20, workers=1, apis=1, kills=0, seed=1, duration=2, latency=0.2, drain=30)


@dataclass
class Kept:
    """A run that has ended, and whose promises were kept."""

    run: Run
    redis: Redis
    truth: dict[str, JobHistory]

    @property
    def job_id(self) -> str:
        return next(iter(self.truth))

    @property
    def job_key(self) -> str:
        return key("job", self.job_id)

    async def image(self) -> ImageRow:
        """One that succeeded."""
        images = (await job_reads.read_job(self.redis, self.job_id)).images
        return next(image for image in images if image.status is ImageStatus.SUCCEEDED)

    async def broken(self) -> str:
        """What the suite says of it now."""
        missed, faults = streams([*self.run.jobs.values(), *self.run.owners], self.truth)
        verdict = await judge(self.run, self.redis, Seen(self.truth, missed, faults), TIMES)
        return "\n".join(verdict.broken)

    async def model(self) -> Path:
        """The file of a model."""
        result = (await self.image()).result
        assert result is not None
        return self.run.world.files / next(str(file.key) for file in result.files if file.kind == "model")

    @asynccontextmanager
    async def count(self, name: str, field: str, by: int) -> AsyncIterator[None]:
        """A field of a hash that is wrong by so much, for the time of the block."""
        await self.redis.hincrby(name, field, by)
        yield
        await self.redis.hincrby(name, field, -by)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept() -> AsyncIterator[Kept]:
    with tempfile.TemporaryDirectory(prefix="i2m-chaos-") as folder:
        async with running(Path(folder), QUIET) as this, connect(this.world.store.url) as redis:
            await this.strikes.strike(Draw("requeue", 0, 0))
            await this.uploads.run(0.1, this.listen)
            await this.drain(redis)
            told = await this.last_words(redis)
            assert (told.missed, told.faults) == (0, [])
            yield Kept(this, redis, told.truth)


async def test_a_run_without_sabotage_keeps_every_promise(kept: Kept) -> None:
    assert await kept.broken() == ""


class Tampering(Listener):
    """Hears a job's whole history, and what it is told is changed on the way."""

    def __init__(self, kept: Kept, http: aiohttp.ClientSession, how: str) -> None:
        bases = iter(kept.run.world.bases * 9)
        super().__init__(http, f"status/stream/{kept.job_id}", Manner(bases), name="the tampered client")
        self._last_id = self.begun_at = 0
        self._how = how
        self._seen = 0
        self._kept_back: ServerSentEvent | None = None

    def _take(self, event: ServerSentEvent) -> None:
        self._seen += 1
        if self._how == "dropped" and '"status":"succeeded"' in event.data and self._seen > 40:
            self._how = "done"
            return
        if self._how == "complete dropped" and event.event == "complete":
            self._over = True
            return
        if self._how == "swapped" and self._seen == 30:
            self._kept_back = event
            return
        super()._take(event)
        if self._how == "twice" and self._seen == 30:
            super()._take(event)
        if self._kept_back is not None:
            super()._take(self._kept_back)
            self._kept_back = None


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("nothing", ""),
        ("dropped", "the tampered client missed 1 states"),
        ("complete dropped", "is complete, which it was 1 times"),
        ("twice", "was told event 30 behind event 30"),
        ("swapped", "was told event 30 behind event 31"),
    ],
)
async def test_an_event_that_is_dropped_or_sent_twice_or_out_of_order(
    kept: Kept, how: str, words: str
) -> None:
    async with aiohttp.ClientSession() as http:
        listener = Tampering(kept, http, how)
        await asyncio.wait_for(listener.run(), 20)
    missed, told = streams([listener], kept.truth)
    assert words in "\n".join(told)
    assert bool(told) == bool(words)
    assert (missed > 0) == (how in {"dropped", "swapped"})


async def test_a_client_that_never_heard_anything(kept: Kept) -> None:
    async with aiohttp.ClientSession() as http:
        listener = Listener(http, "events", Manner(iter(())), name="the deaf client")
    missed, told = streams([listener], kept.truth)
    assert "the deaf client never heard anything" in told
    assert missed > 0


async def test_a_result_that_is_lost(kept: Kept) -> None:
    path = await kept.model()
    path.rename(path.with_name("elsewhere"))
    try:
        assert "is not the file that it should be" in await kept.broken()
    finally:
        path.with_name("elsewhere").rename(path)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-4], lambda data: b"tlTF" + data[4:]], ids=["cut", "same size"]
)
async def test_a_result_that_was_changed_on_disk(kept: Kept, change: Any) -> None:
    path, whole = await kept.model(), (await kept.model()).read_bytes()
    path.write_bytes(change(whole))
    try:
        assert (await kept.image()).image_id in await kept.broken()
    finally:
        path.write_bytes(whole)


async def test_a_picture_that_is_nobodys(kept: Kept) -> None:
    left = kept.run.world.files / "originals" / "0f" / "1e.png"
    left.parent.mkdir()
    left.write_bytes(b"picture")
    assert "1 files of originals/0f are nobody's" in await kept.broken()
    assert not left.exists()


async def test_a_file_that_the_cleanup_does_not_find(kept: Kept) -> None:
    left = kept.run.world.files / "results" / "odd"
    left.write_bytes(b"?")
    try:
        assert "the cleanup left 1 files of results/odd" in await kept.broken()
    finally:
        left.unlink()


async def test_a_counter_that_does_not_equal_the_hashes(kept: Kept) -> None:
    async with kept.count(kept.job_key, "n_failed", 1):
        assert f"job {kept.job_id} counts 1 failed of 0" in await kept.broken()


async def test_a_key_without_a_ttl(kept: Kept) -> None:
    await kept.redis.persist(kept.job_key)
    try:
        assert f"key without a TTL: {kept.job_key}" in await kept.broken()
    finally:
        await kept.redis.expire(kept.job_key, 3600)


async def test_a_cost_in_the_document_that_is_not_the_accounts(kept: Kept) -> None:
    owner = (await kept.redis.hget(kept.job_key, "owner") or b"").decode()
    async with kept.count(kept.job_key, "cost_micro", 1):
        assert f"job {kept.job_id} costs" in await kept.broken()
    async with kept.count(key("account", owner), "total_spent", 1):
        assert "the account has spent" in await kept.broken()
    async with kept.count(key("account", owner), "reserved", 1):
        assert "1 micro-dollars are set aside for 0 holds" in await kept.broken()


async def test_a_cost_that_is_not_what_fal_billed(kept: Kept) -> None:
    image_id = (await kept.image()).image_id
    async with kept.count(key("image", image_id), "cost_micro", 1):
        said = await kept.broken()
    assert f"image {image_id} (succeeded) has 300001 micro-dollars booked, FAL billed 300000" in said


async def test_an_image_that_never_ended_or_whose_end_nobody_drew(kept: Kept) -> None:
    name = key("image", (await kept.image()).image_id)
    await kept.redis.hset(name, "status", "queued")
    said = await kept.broken()
    await kept.redis.hset(name, "status", "succeeded")
    assert "1 images never ended" in said
    assert "is queued, its last event says succeeded" in said
    error = '{"code":"worker_crashed","message":"m","retryable":true}'
    before = bytes(await kept.redis.hget(name, "error") or b"").decode()
    await kept.redis.hset(name, "error", error)
    said = await kept.broken()
    await kept.redis.hset(name, "error", before)
    assert "1 images ended as worker_crashed" in said


async def test_a_job_that_was_never_answered_and_one_that_is_gone(kept: Kept) -> None:
    await kept.redis.hset(key("job", "stranger"), "owner", "x")
    await kept.redis.expire(key("job", "stranger"), 3600)
    said = await kept.broken()
    await kept.redis.delete(key("job", "stranger"))
    assert "job stranger exists and was never answered" in said


async def test_a_view_that_fal_was_not_sent(kept: Kept) -> None:
    images = (await job_reads.read_job(kept.redis, kept.job_id)).images
    one = next(image for image in images if len(image.views) > 1)
    name = key("image", one.image_id)
    before = bytes(await kept.redis.hget(name, "views") or b"").decode()
    more = before[:-1] + "," + before[1:].replace('"side":"front"', '"side":"top"', 1)
    await kept.redis.hset(name, "views", more)
    said = await kept.broken()
    await kept.redis.hset(name, "views", before)
    assert f"image {one.image_id} was sent as" in said
    assert "'top_image_url'" in said


async def test_a_permit_that_is_held(kept: Kept) -> None:
    await kept.redis.zadd(key("permits"), {"x": 1})
    await kept.redis.expire(key("permits"), 3600)
    said = await kept.broken()
    await kept.redis.zrem(key("permits"), "x")
    assert "1 permits left" in said


async def test_a_run_whose_own_parts_fail_or_that_pays_twice_says_so() -> None:
    """One short run with everything that cannot be undone."""
    size = Size(
        images=30,
        workers=1,
        apis=1,
        kills=1,
        seed=3,
        duration=4,
        latency=0.3,
        drain=30,
        busy=1,
        without=KINDS - {Kind.KILL_WORKER, "requeue"},
    )
    with tempfile.TemporaryDirectory(prefix="i2m-chaos-") as folder:
        verdict = await run(Path(folder), size, beside=_sabotage)
    said = "\n".join(verdict.broken)
    for words in (
        "worker-0 ended by itself: SIGABRT",
        "the client that stays stopped although the run went on: it was cancelled",
        "the busy loops stopped although the run went on",
        "the uploader did not come to its end",
        "the draw kill_worker came",
        "only 0 of 1 kills could be carried out",
        "was submitted 2 times",
        "has a gap",
    ):
        assert words in said, f"{words!r} is not in\n{verdict.table()}"
    assert verdict.numbers["workers that ended by themselves"] == ["worker-0 SIGABRT"]
    assert verdict.numbers["submitted twice"] == 1


async def _sabotage(this: Run) -> None:
    this.strikes.ours[Kind.KILL_WORKER] = lambda _draw: False
    await until(_says(lambda: bool(this.uploads.accepted)), timeout=60)
    this.supervisor.tasks["the client that stays"].cancel()
    this.supervisor.tasks["the uploader"].cancel()
    assert this.busy is not None
    this.busy.processes[0].kill()
    worker = this.world.workers[0]
    await until(_says(lambda: worker.is_ready and bool(this.world.emulator.submissions())), timeout=60)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGABRT)
    await _pay_again(this)
    async with connect(this.world.store.url) as redis:
        (first, *_) = await redis.xrange(key("job_events", next(iter(this.uploads.accepted))), count=1)
        await redis.xdel(key("job_events", next(iter(this.uploads.accepted))), first[0])


async def _pay_again(this: Run) -> None:
    """A second POST for an attempt that FAL has accepted already."""
    bought = this.world.emulator.submissions()[0]
    tags = ",".join(f"{name}={value}" for name, value in bought["tags"].items())
    headers = {"Authorization": f"Key {KEY}", "X-Fal-Tags": tags}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{this.world.emulator.url}/{MODEL}", json=bought["input"], headers=headers) as reply,
    ):
        assert reply.status == 200, await reply.text()


def _says(condition: Any) -> Any:
    async def said() -> bool:
        return bool(condition())

    return said
