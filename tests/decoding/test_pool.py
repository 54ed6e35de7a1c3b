"""Decoder processes that serve many callers: at once, after a death, and after they were idle."""

import asyncio
import logging
import os
import signal
import time
import warnings
from collections.abc import AsyncIterator
from functools import partial

import pytest

from image2model.decoding.pool import DecoderPool, is_isolated
from image2model.decoding.process import DecoderDied
from image2model.errors import ImageFailure
from image2model.media.preflight import prepare, thumbnail
from tests.support.pictures import picture
from tests.support.processes import is_gone
from tests.support.wait import until

LIMIT = 1_000_000


def own_pid(seconds: float = 0) -> int:
    time.sleep(seconds)
    return os.getpid()


def die() -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.fixture
async def pool() -> AsyncIterator[DecoderPool]:
    pool = DecoderPool(2, longest_s=60)
    yield pool
    await pool.aclose()


def test_only_png_jpeg_and_webp_are_decoded_here() -> None:
    for name in ("png", "jpeg", "webp"):
        assert not is_isolated(picture(name, (8, 8)))
    for name in ("heic", "avif", "gif", "tiff", "bmp"):
        assert is_isolated(picture(name, (8, 8)))
    assert is_isolated(b"")


async def test_as_many_calls_run_at_once_as_there_are_processes(pool: DecoderPool) -> None:
    pids = await asyncio.gather(*(pool.run(partial(own_pid, 0.5)) for _ in range(4)))
    assert len(set(pids)) == 2
    assert os.getpid() not in pids


async def test_picture_is_prepared_as_it_is_here(pool: DecoderPool) -> None:
    for name in ("heic", "avif", "gif", "tiff", "bmp"):
        data = picture(name, (40, 56))
        call = partial(prepare, data, max_pixels=LIMIT)
        assert await pool.run(call) == call()
        small = partial(thumbnail, data, size=16, max_pixels=LIMIT)
        assert await pool.run(small) == small()


async def test_fault_of_a_picture_comes_through(pool: DecoderPool) -> None:
    broken = bytearray(picture("heic", (40, 56)))
    start = broken.index(b"mdat") + 4
    broken[start:] = bytes(len(broken) - start)
    with pytest.raises(ImageFailure, match="cannot be decoded"):
        await pool.run(partial(prepare, bytes(broken), max_pixels=LIMIT))


async def test_death_harms_its_own_call_alone(pool: DecoderPool) -> None:
    ended = await asyncio.gather(
        *(pool.run(one) for one in (die, partial(own_pid, 0.3), die, own_pid)), return_exceptions=True
    )
    assert [isinstance(one, DecoderDied) for one in ended] == [True, False, True, False]


async def test_call_that_hangs_is_given_up() -> None:
    pool = DecoderPool(1, longest_s=0.5)
    with pytest.raises(DecoderDied, match="no end"):
        await pool.run(partial(own_pid, 30))
    await pool.aclose()


async def test_idle_process_ends_and_the_next_call_has_another() -> None:
    pool = DecoderPool(1, idle_s=0.05, longest_s=60)
    pids = set()
    for _ in range(3):
        pid = await pool.run(own_pid)
        pids.add(pid)

        async def is_over(pid: int = pid) -> bool:
            return is_gone(pid)

        await until(is_over)
    assert len(pids) == 3
    await pool.aclose()


@pytest.mark.long
async def test_process_that_just_became_idle_never_fails_a_call() -> None:
    pool = DecoderPool(2, idle_s=0.001, longest_s=60)
    for _ in range(20):
        await pool.run(own_pid)
        await asyncio.sleep(0.001)  # the moment at which an idle process ends
    await pool.aclose()


def print_from_a_library() -> None:
    os.write(1, b"Using code not yet in table.\n")
    os.write(2, b"Using code not yet in table.\n")
    logging.getLogger("PIL").error("Using code not yet in table.")
    warnings.warn("Using code not yet in table.", stacklevel=1)


async def test_what_a_library_prints_appears_nowhere(
    pool: DecoderPool, capfd: pytest.CaptureFixture[str]
) -> None:
    await pool.run(print_from_a_library)
    assert await pool.run(own_pid) != os.getpid()
    out, err = capfd.readouterr()
    assert "not yet in table" not in out + err
