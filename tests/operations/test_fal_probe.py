"""The API's own look at FAL: what it sends, what it says of answers, and that nothing holds it up."""

import pytest

from image2model.fal.hosts import FalHosts
from image2model.operations import fal_probe
from image2model.operations.fal_probe import FalProbe
from tests.support.emulator_process import KEY, emulator_process
from tests.support.raw_server import Exchange, Script, never, raw_server


async def test_a_good_key_is_accepted_and_nothing_is_bought() -> None:
    with emulator_process() as emulator:
        found = await FalProbe(KEY, FalHosts.at(emulator.url)).check()
        assert (found.ok, found.detail) == (True, "FAL answers and accepts the key")
        assert emulator.submissions() == []


async def test_all_who_ask_within_a_while_share_one_call() -> None:
    async def unknown(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    async with raw_server(unknown) as server:
        probe = FalProbe(KEY, FalHosts.at(server.url))
        assert [(await probe.check()).ok for _ in range(3)] == [True] * 3
        (request,) = server.requests
    assert request.header("Authorization") == f"Key {KEY}"
    assert server.url.endswith(request.header("Host") or "?")


async def test_a_refusal_is_told_in_fals_words() -> None:
    async def refused(exchange: Exchange) -> None:
        await exchange.reply("401 x", b'{"detail":"no such key"}')

    async with raw_server(refused) as server:
        found = await FalProbe(KEY, FalHosts.at(server.url)).check()
    assert (found.ok, found.detail) == (False, "FAL refuses the key: no such key")


async def test_a_server_without_an_answer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fal_probe, "_DEADLINE_S", 0.2)

    async def garbage(exchange: Exchange) -> None:
        await exchange.send(b"no HTTP at all\r\n\r\n")

    async def nothing(_exchange: Exchange) -> None:
        """The connection is closed."""

    async def details(script: Script) -> str:
        async with raw_server(script) as server:
            found = await FalProbe(KEY, FalHosts.at(server.url)).check()
        assert not found.ok
        return found.detail

    assert "without an answer" in await details(nothing)
    assert await details(garbage)
    assert "no answer in time" in await details(never)


async def test_the_key_goes_to_fal_alone() -> None:
    found = await FalProbe(KEY, FalHosts(queue="https://elsewhere.example")).check()
    assert not found.ok
    assert "the key is not sent there" in found.detail
