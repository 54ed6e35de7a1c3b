"""A refusal of a real server has a name, the same for all versions; a fault of ours has none."""

from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from image2model.store.condition import REFUSES_WRITES, StoreCondition, advice, condition_of, describe, probe
from image2model.store.connection import connect
from image2model.up.store import EmbeddedStore
from tests.support.keys import keys_without_ttl
from tests.support.ports import free_ports
from tests.support.store_conditions import REFUSING, WORDS, in_condition, loading_store


@pytest.mark.parametrize("name", REFUSING)
async def test_write_that_is_refused_names_the_condition(own_store: EmbeddedStore, name: str) -> None:
    async with connect(own_store.url) as redis:
        assert await probe(redis) is StoreCondition.WRITABLE
        with in_condition(own_store, name):
            found = await probe(redis)
            assert found.value == name
            assert found in REFUSES_WRITES
        assert await probe(redis) is StoreCondition.WRITABLE
        assert await keys_without_ttl(redis) == []


async def test_loading_store_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with loading_store(tmp_path / "loading", port) as url:
        async with connect(url) as redis:
            assert await probe(redis) is StoreCondition.LOADING
    async with connect(url) as redis:
        assert await probe(redis) is StoreCondition.AWAY


@pytest.mark.parametrize(
    "text",
    [
        "Error running script (call to f_1): @user_script:3: @user_script: 3: -OOM command not allowed",
        "OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:1.",
    ],
)
def test_error_of_a_script_is_named_as_servers_of_every_version_word_it(text: str) -> None:
    assert condition_of(ResponseError(text)) is StoreCondition.OUT_OF_MEMORY


@pytest.mark.parametrize("text", ["WRONGTYPE no", "ERR a text with OOM in it", "BUSYKEY it exists"])
def test_fault_of_ours_is_no_condition_of_the_store(text: str) -> None:
    assert condition_of(ResponseError(text)) is None


def test_each_condition_has_words_and_what_to_do() -> None:
    for condition in StoreCondition:
        assert describe(condition)
        assert bool(advice(condition)) is (condition is not StoreCondition.WRITABLE)
    for name, words in WORDS.items():
        assert words in describe(StoreCondition(name))
