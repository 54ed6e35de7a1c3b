"""From FAL's list to the store's copy: what is new, what is gone, and what must not be believed."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from image2model.catalogue import reading, stored
from image2model.catalogue.live import LiveCatalogue
from image2model.catalogue.stored import CatalogueCopy
from image2model.errors import FalTransient, UnknownModel
from image2model.fal.endpoints import Catalogue
from image2model.store.keys import key
from tests.support.catalogue import ListedFal, document, refresh, unreachable

MINE = ("fal-ai/a", "fal-ai/b", "fal-ai/c", "fal-ai/d")


@pytest.fixture
def live(redis: Redis) -> LiveCatalogue:
    """The catalogue of another process."""
    return LiveCatalogue(redis)


def active(live: LiveCatalogue) -> set[str]:
    """Those of FAL's that take new pictures."""
    return {one for one in MINE if live.current.find(one).schema.retired_at is None}


async def test_what_fal_lists_is_read_with_its_price(redis: Redis, live: LiveCatalogue) -> None:
    assert live.current.source == "built-in"
    assert await refresh(redis, ListedFal(*MINE), live)
    assert (live.current.source, live.head.error) == ("fal", "")
    found = await live.find("fal-ai/a")
    assert (found.title, found.price({}), found.schema.source) == ("Fal-Ai/A", 250_000, "fal")
    assert list(found.parameters) == ["seed"]
    assert await redis.pttl(key("catalogue")) > 0
    assert not await redis.exists(key("lock", "catalogue"))


async def test_unknown_endpoint_is_looked_for_in_the_store(redis: Redis, live: LiveCatalogue) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    fal.models["fal-ai/new"] = document()
    await refresh(redis, fal)  # by a worker; no notification comes
    assert "fal-ai/new" not in live.current.endpoints
    assert (await live.find("fal-ai/new")).id == "fal-ai/new"
    with pytest.raises(UnknownModel, match="fal-ai/new"):
        await live.find("fal-ai/ne")


async def test_same_list_again_changes_only_the_time(redis: Redis, live: LiveCatalogue) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    before, endpoints = live.head, live.current.endpoints
    await asyncio.sleep(0.005)
    await refresh(redis, fal, live)
    assert live.head.version == before.version
    assert live.head.updated_at > before.updated_at
    assert live.current.updated_at == live.head.updated_at
    assert live.current.endpoints is endpoints


async def test_endpoint_that_fal_no_longer_lists_is_kept_as_retired(
    redis: Redis, live: LiveCatalogue
) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    del fal.models["fal-ai/a"]
    fal.status["fal-ai/b"] = "deprecated"
    await refresh(redis, fal, live)
    retired = {name: (await live.find(name)).schema.retired_at for name in MINE}
    assert abs((retired["fal-ai/a"] or 0) - time.time() * 1000) < 60_000
    assert retired["fal-ai/b"]
    assert retired["fal-ai/c"] is retired["fal-ai/d"] is None
    since = retired["fal-ai/a"]
    await refresh(redis, fal, live)
    assert (await live.find("fal-ai/a")).schema.retired_at == since
    fal.models["fal-ai/a"] = document("seed")
    await refresh(redis, fal, live)
    assert (await live.find("fal-ai/a")).schema.retired_at is None


async def test_list_that_is_cut_short_retires_nothing(redis: Redis, live: LiveCatalogue) -> None:
    """What the list left out is asked for by name."""
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    fal.listed_only = {"fal-ai/a"}
    await refresh(redis, fal, live)
    assert set(MINE) - {"fal-ai/a"} <= set(fal.named)
    assert active(live) == set(MINE)


@pytest.mark.parametrize("left", [(), MINE[:1]])
async def test_list_without_most_of_what_was_there_is_not_believed(
    redis: Redis, live: LiveCatalogue, left: tuple[str, ...]
) -> None:
    await refresh(redis, ListedFal(*MINE), live)
    version = live.head.version
    await refresh(redis, ListedFal(*left), live)
    assert live.head.version == version
    assert "no longer" in live.head.error
    assert active(live) == set(MINE)


async def test_list_without_most_of_what_was_there_is_believed_after_an_hour(
    redis: Redis, live: LiveCatalogue
) -> None:
    await refresh(redis, ListedFal(*MINE), live)
    await redis.hset(key("catalogue"), "updated_at", str(int(time.time() * 1000) - 3_700_000))
    assert not await refresh(redis, ListedFal(), live)  # nothing at all never is
    assert await refresh(redis, ListedFal(MINE[0]), live)
    assert active(live) == {MINE[0]}


async def test_failure_keeps_the_last_good_copy_and_is_tried_again(redis: Redis, live: LiveCatalogue) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    before = live.head
    fal.error = unreachable()
    del fal.models["fal-ai/a"]
    await refresh(redis, fal, live)
    assert (live.head.version, live.head.updated_at) == (before.version, before.updated_at)
    assert live.head.checked_at >= before.checked_at
    assert "503" in live.head.error
    fal.error = None
    await refresh(redis, fal, live)
    assert live.head.error == ""
    assert (await live.find("fal-ai/a")).schema.retired_at


async def test_document_that_cannot_be_read_keeps_that_endpoint_as_it_was(
    redis: Redis, live: LiveCatalogue
) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    fal.models["fal-ai/a"] = {"openapi": "3.0.4"}
    fal.models["fal-ai/b"] = document("seed", "steps")
    fal.models["fal-ai/new"] = {"openapi": "3.0.4"}
    await refresh(redis, fal, live)
    kept = await live.find("fal-ai/a")
    assert (list(kept.parameters), kept.schema.retired_at) == (["seed"], None)
    assert list((await live.find("fal-ai/b")).parameters) == ["seed", "steps"]
    assert "fal-ai/new" not in live.current.endpoints


async def test_document_without_a_bound_is_not_read(redis: Redis, live: LiveCatalogue) -> None:
    fal = ListedFal(*MINE)
    fal.models["fal-ai/a"] = {**document(), "x": "a" * (3 << 20)}
    await refresh(redis, fal, live)
    assert "fal-ai/a" not in live.current.endpoints
    assert "fal-ai/b" in live.current.endpoints


async def test_prices_that_fail_stay_as_they_were(redis: Redis, live: LiveCatalogue) -> None:
    fal = ListedFal(*MINE)
    await refresh(redis, fal, live)
    fal.price_error = unreachable()
    fal.models["fal-ai/new"] = document()
    await refresh(redis, fal, live)
    assert (await live.find("fal-ai/a")).price({}) == 250_000
    assert (await live.find("fal-ai/new")).price({}) is None


async def test_built_in_endpoints_that_fal_does_not_list_are_retired_at_the_first_reading() -> None:
    trellis = Catalogue.built_in().find("fal-ai/trellis").schema
    before = CatalogueCopy(schemas=(trellis,), prices={})
    copy = await reading.read(ListedFal(*MINE), before, 7)
    assert {one.id: one.retired_at for one in copy.schemas if one.id not in MINE} == {"fal-ai/trellis": 7}


async def test_only_one_worker_reads_at_a_time_and_a_request_makes_it_due(redis: Redis) -> None:
    terms = {"every_ms": 600_000, "retry_ms": 60_000}
    assert await stored.begin(redis, "one", **terms)
    assert not await stored.begin(redis, "two", **terms)
    assert not await stored.fail(redis, "two", "not mine")
    assert await stored.fail(redis, "one", "no answer")
    assert not await stored.begin(redis, "two", **terms)  # too early after a failure
    await stored.request(redis)
    assert await stored.begin(redis, "two", **terms)
    assert await stored.succeed(redis, "two", "v1", b"")
    assert not await stored.begin(redis, "one", **terms)


async def test_list_without_an_end_is_an_error() -> None:
    fal = ListedFal(*MINE)
    fal.error = FalTransient("FAL's list of image-to-3d has no end")
    with pytest.raises(FalTransient):
        await reading.read(fal, CatalogueCopy(schemas=(), prices={}), 1)
