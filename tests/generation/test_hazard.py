"""Where a suspect's step runs: in a process of its own, beside others or alone; its death is told apart."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from image2model.decoding.process import DecoderDied, DecoderProcess
from image2model.errors import ImageFailure, StaleFence
from image2model.generation import loading
from image2model.generation.suspects import THREADS, Hazard, Suspect
from image2model.media.preflight import Prepared, prepare
from image2model.store.keys import key
from tests.support.jobs import make_job, pick
from tests.support.processes import is_gone
from tests.support.sketches import picture
from tests.support.wait import until, wait_until


def own_pid() -> int:
    return os.getpid()


def die(number: int) -> object:
    os.kill(os.getpid(), number)
    return None


def touch_and_wait(folder: str, name: str, seconds: float) -> list[str]:
    """Who else is at it while this is."""
    place = Path(folder, name)
    place.touch()
    time.sleep(seconds)
    others = [one.name for one in Path(folder).iterdir() if one != place]
    place.unlink()
    return others


def hang_in(pid: int, seconds: float) -> int:
    """Hangs in one process only."""
    if os.getpid() == pid:
        time.sleep(seconds)
    return os.getpid()


@pytest.fixture
async def decoder() -> AsyncIterator[DecoderProcess]:
    decoder = DecoderProcess(longest_s=60)
    yield decoder
    await decoder.aclose()


@pytest.fixture
async def hazard(redis: Redis, decoder: DecoderProcess) -> AsyncIterator[Hazard]:
    hazard = Hazard(redis, decoder)
    yield hazard
    await hazard.aclose()


async def a_suspect(redis: Redis, deaths: int, crashes: int = 0) -> Suspect:
    await make_job(redis, 1)
    (claim,) = await pick(redis)
    return Suspect(claim.task_id, claim.token, deaths, crashes)


async def test_process_is_kept_from_one_call_to_the_next(decoder: DecoderProcess) -> None:
    pids = {await decoder.run(own_pid) for _ in range(3)}
    assert len(pids) == 1
    assert os.getpid() not in pids


async def test_picture_is_prepared_as_it_is_here(decoder: DecoderProcess) -> None:
    data = picture(1, (48, 32))
    prepared: Prepared = await decoder.run(partial(prepare, data, max_pixels=10_000))
    assert prepared == prepare(data, max_pixels=10_000)


async def test_fault_of_a_picture_comes_through_as_such(decoder: DecoderProcess) -> None:
    with pytest.raises(ImageFailure) as caught:
        await decoder.run(partial(prepare, b"no picture", max_pixels=10_000))
    assert caught.value.code == "image_unreadable"
    assert not caught.value.retryable


async def test_error_of_ours_comes_with_its_traceback(decoder: DecoderProcess) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        await decoder.run(partial(divmod, 1, 0))


async def test_death_names_its_signal_and_the_next_call_has_a_new_process(decoder: DecoderProcess) -> None:
    before = await decoder.run(own_pid)
    with pytest.raises(DecoderDied, match="SIGSEGV"):
        await decoder.run(partial(die, signal.SIGSEGV))
    assert await decoder.run(own_pid) != before


async def test_call_without_an_end_is_ended() -> None:
    decoder = DecoderProcess(longest_s=1)
    with pytest.raises(DecoderDied, match="no end"):
        await decoder.run(partial(time.sleep, 600))
    await decoder.aclose()


async def test_call_that_hangs_ends_its_process_though_no_worker_does() -> None:
    """The worker may be gone before the process has bound itself to it."""
    decoder = DecoderProcess("tests.support.impatient_decoder", longest_s=60)
    with pytest.raises(DecoderDied, match="SIGALRM"):
        await decoder.run(partial(time.sleep, 600))
    await decoder.aclose()


@pytest.mark.long
async def test_call_that_nobody_waits_for_takes_its_process_along(decoder: DecoderProcess) -> None:
    pid = await decoder.run(own_pid)
    call = asyncio.create_task(decoder.run(partial(time.sleep, 600)))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await decoder.run(own_pid) != pid


async def test_process_is_deaf_to_what_stops_a_worker(decoder: DecoderProcess) -> None:
    pid = await decoder.run(own_pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert await decoder.run(own_pid) == pid
    await decoder.aclose()
    wait_until(lambda: is_gone(pid))


async def test_memory_beyond_the_bound_is_refused(decoder: DecoderProcess) -> None:
    with pytest.raises(RuntimeError, match="MemoryError"):
        await decoder.run(partial(bytes, 64 << 30))


async def test_who_is_no_suspect_runs_here(hazard: Hazard, redis: Redis) -> None:
    suspect = await a_suspect(redis, deaths=0)
    assert await hazard.run(suspect, own_pid) == os.getpid()


@pytest.mark.long
@pytest.mark.parametrize("deaths", [1, 2, 3, 9])
async def test_suspect_runs_elsewhere_and_is_cleared(hazard: Hazard, redis: Redis, deaths: int) -> None:
    suspect = await a_suspect(redis, deaths)
    await redis.hset(key("image", suspect.image_id), "hazard_deaths", str(deaths))
    assert await hazard.run(suspect, own_pid) != os.getpid()
    assert (await loading.load(redis, suspect.image_id)).hazard_deaths == 0


@pytest.mark.long
async def test_store_knows_a_suspects_step_while_it_lasts(
    hazard: Hazard, redis: Redis, tmp_path: Path
) -> None:
    for deaths, mark in ((1, b"shared"), (3, b"alone")):
        suspect = await a_suspect(redis, deaths)
        running = asyncio.create_task(hazard.run(suspect, partial(touch_and_wait, str(tmp_path), "one", 1.0)))

        async def is_at_it() -> bool:
            return (tmp_path / "one").exists()

        await until(is_at_it)
        name = key("image", suspect.image_id)
        assert await redis.hget(name, "hazard") == mark
        await running
        assert await redis.hget(name, "hazard") == b""


async def test_suspects_run_one_at_a_time_beside_others(hazard: Hazard, redis: Redis, tmp_path: Path) -> None:
    await hazard.run(await a_suspect(redis, deaths=1), own_pid)  # the process is there
    suspects = [await a_suspect(redis, deaths=1) for _ in range(3)]
    healthy = await a_suspect(redis, deaths=0)
    found = await asyncio.gather(
        *(
            hazard.run(one, partial(touch_and_wait, str(tmp_path), f"suspect-{n}", 0.2))
            for n, one in enumerate(suspects)
        ),
        hazard.run(healthy, partial(touch_and_wait, str(tmp_path), "healthy", 0.5)),
    )
    for others in found[:3]:
        assert not [one for one in others if one.startswith("suspect")]
    assert found[3]  # it did not wait for them


async def test_last_resort_runs_quite_alone(hazard: Hazard, redis: Redis, tmp_path: Path) -> None:
    alone = [await a_suspect(redis, deaths=3) for _ in range(2)]
    healthy = [await a_suspect(redis, deaths=0) for _ in range(4)]
    calls = [
        hazard.run(one, partial(touch_and_wait, str(tmp_path), f"{n}-{one.deaths}", 0.2))
        for n, one in enumerate([*healthy[:2], *alone, *healthy[2:]])
    ]
    found = await asyncio.gather(*calls)
    assert found[2] == found[3] == []


async def test_who_lost_its_lease_does_not_begin(hazard: Hazard, redis: Redis) -> None:
    suspect = await a_suspect(redis, deaths=1)
    stale = Suspect(suspect.image_id, "another", 1, 0)
    with pytest.raises(StaleFence):
        await hazard.run(stale, own_pid)


@pytest.mark.long
async def test_what_can_be_done_without_is_left_after_five_deaths(hazard: Hazard, redis: Redis) -> None:
    suspect = await a_suspect(redis, deaths=1)
    assert await hazard.run_if_safe(suspect, partial(die, signal.SIGKILL)) is None
    assert await hazard.run_if_safe(None, partial(die, signal.SIGKILL)) is None
    assert await hazard.run_if_safe(None, own_pid) is not None


async def test_what_has_ended_five_workers_is_not_tried_again(hazard: Hazard, redis: Redis) -> None:
    assert await hazard.run_if_safe(await a_suspect(redis, deaths=9, crashes=5), own_pid) is None


async def test_what_hangs_in_a_thread_is_a_death_and_holds_up_nobody(
    redis: Redis, decoder: DecoderProcess
) -> None:
    hazard = Hazard(redis, decoder, longest_s=1)
    end = threading.Event()
    hanging = [hazard.run(await a_suspect(redis, deaths=0), end.wait) for _ in range(THREADS)]
    healthy = [hazard.run(await a_suspect(redis, deaths=0), own_pid) for _ in range(4)]
    alone = hazard.run(await a_suspect(redis, deaths=3), own_pid)
    found = await asyncio.gather(*hanging, *healthy, alone, return_exceptions=True)
    end.set()
    await hazard.aclose()
    assert [type(one) for one in found[:THREADS]] == [DecoderDied] * THREADS
    assert found[THREADS:-1] == [os.getpid()] * 4
    assert isinstance(found[-1], int)


async def test_result_that_hangs_in_a_thread_is_measured_elsewhere(
    redis: Redis, decoder: DecoderProcess
) -> None:
    hazard = Hazard(redis, decoder, longest_s=0.5)
    found = await hazard.run_if_safe(await a_suspect(redis, deaths=0), partial(hang_in, os.getpid(), 2))
    await hazard.aclose()
    assert found not in (None, os.getpid())
