"""kill -9 between each two steps of a cut-out and of the model that is made of it: each is bought once."""

import asyncio
import signal
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from image2model.domain import Counts, Preparation
from image2model.store.keys import key
from tests.support.fleet import MODEL
from tests.support.gate import Gate, Hold, calls, nth
from tests.support.stage import Stage

REMOVER = "fal-ai/bria/background/remove"
CUT = Preparation(remove_background=REMOVER)
CUTOUT, MAIN = 1, 2
"""Which of the image's two requests a step belongs to."""


def _posts(message: bytes) -> bool:
    return message.startswith((b"POST /tripo3d/", b"POST /fal-ai/bria/"))


def _asks_for_the_result(message: bytes) -> bool:
    return message.startswith(b"GET /") and b"/requests/" in message and b"/status" not in message


def _store(script: str, *words: bytes, answer: bool) -> Callable[[Stage, int], Hold]:
    return lambda stage, number: _hold(stage.store, nth(number, calls(script, *words)), answer)


def _fal(matches: Callable[[bytes], bool], *, answer: bool) -> Callable[[Stage, int], Hold]:
    return lambda stage, number: _hold(stage.fal, nth(number, matches), answer)


def _hold(gate: Gate, matches: Callable[[bytes], bool], answer: bool) -> Hold:
    return gate.hold(matches, answer=answer)


STEPS = {
    "before the mark": _store("generation/write", b"posting_at", answer=False),
    "accepted, before the reply": _fal(_posts, answer=True),
    "before the commit": _store("generation/commit_submission", answer=False),
    "after the commit": _store("generation/commit_submission", answer=True),
    "before the result": _fal(_asks_for_the_result, answer=True),
    "before the booking": _store("generation/book_cost", answer=False),
    "after the booking": _store("generation/book_cost", answer=True),
    "while the file comes": _fal(lambda message: message.startswith(b"GET /files/"), answer=True),
}
BETWEEN = {
    "before the phase ends": _store("generation/advance", answer=False),
    "after the phase has ended": _store("generation/advance", answer=True),
    "before the prepared picture is known": _store("generation/step", b"preparation", answer=False),
    "after the prepared picture is known": _store("generation/step", b"preparation", answer=True),
}


async def killed_at(stage: Stage, hold: Hold) -> str:
    """A job of one picture whose worker was killed there."""
    worker = stage.start_worker()
    job_id = await stage.fleet.submit(preparation=CUT, unit_micro=300_000, cutout_micro=18_000)
    async with asyncio.timeout(40):
        await hold.reached.wait()
    worker.send(signal.SIGKILL)
    await worker.exit_code()
    return job_id


async def account(redis: Redis, owner: str = "ann") -> tuple[int, int]:
    """Micro-dollars spent, and still reserved."""
    spent, reserved = await redis.hmget(key("account", owner), ["total_spent", "reserved"])
    return int(spent or 0), int(reserved or 0)


async def is_bought_once(stage: Stage, job_id: str) -> None:
    job = await stage.fleet.until_finished(job_id, timeout=60)
    assert job.counts == Counts(succeeded=1)
    assert [one["endpoint"] for one in stage.fleet.submissions_of(job)] == [REMOVER, MODEL]
    (image,) = job.images
    assert image.preparation is not None
    assert (image.cost_micro, image.preparation.cost_micro, image.attempt) == (318_000, 18_000, 1)
    assert await account(stage.fleet.redis) == (318_000, 0)


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_a_step_of_the_cutout(stage: Stage, step: str) -> None:
    job_id = await killed_at(stage, STEPS[step](stage, CUTOUT))
    stage.start_worker()
    await is_bought_once(stage, job_id)


@pytest.mark.long
@pytest.mark.parametrize("step", ["before the mark", "accepted, before the reply", "before the booking"])
async def test_killed_at_a_step_of_the_model(stage: Stage, step: str) -> None:
    job_id = await killed_at(stage, STEPS[step](stage, MAIN))
    stage.start_worker()
    await is_bought_once(stage, job_id)


@pytest.mark.long
@pytest.mark.parametrize("step", BETWEEN)
async def test_killed_between_the_two(stage: Stage, step: str) -> None:
    job_id = await killed_at(stage, BETWEEN[step](stage, 1))
    stage.start_worker()
    await is_bought_once(stage, job_id)


@pytest.mark.long
@pytest.mark.parametrize("request_number", [CUTOUT, MAIN])
async def test_killed_between_mark_and_post(stage: Stage, request_number: int) -> None:
    hold = _store("generation/write", b"posting_at", answer=True)(stage, request_number)
    job_id = await killed_at(stage, hold)
    stage.start_worker(I2M_UNCONFIRMED_GRACE="3", I2M_ON_UNCONFIRMED="resubmit")
    job = await stage.fleet.until_finished(job_id, timeout=60)
    assert job.counts == Counts(succeeded=1)
    assert [one["endpoint"] for one in stage.fleet.submissions_of(job)] == [REMOVER, MODEL]
    # what FAL may bill for the POST that was never sent stays reserved for a day, and no more than that
    held = 18_000 if request_number == CUTOUT else 300_000
    assert await account(stage.fleet.redis) == (318_000, held)
