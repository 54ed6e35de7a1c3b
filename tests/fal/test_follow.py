"""Following: every change once, in order, whatever the stream and the network do."""

import asyncio
from contextlib import aclosing
from itertools import pairwise

import msgspec
import pytest

from image2model.errors import FalResultGone
from image2model.fal.follow import FalStatus, FalUpdate
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from tests.fal.buyer import Buyer
from tests.fal.conftest import FAST
from tests.support.emulator_process import KEY, EmulatorProcess
from tests.support.raw_server import Exchange, Script, never, raw_server

MODEL = "fal-ai/trellis"
RUNNING = b'{"status":"IN_PROGRESS","request_id":"r","logs":null}'
COMPLETED = b'{"status":"COMPLETED","request_id":"r","logs":[]}'


async def test_request_goes_through_its_states_in_order(buyer: Buyer, emulator: EmulatorProcess) -> None:
    emulator.settings(latency=0.3)
    await buyer.upload()
    updates = await buyer.follow(await buyer.submit())
    assert [update.status for update in updates][-2:] == [FalStatus.RUNNING, FalStatus.COMPLETED]
    assert all(one != other for one, other in pairwise(updates))


async def test_queue_position_is_fals(buyer: Buyer, emulator: EmulatorProcess) -> None:
    emulator.settings(latency=0.3, concurrency=1)
    await buyer.upload()
    await buyer.submit()
    await buyer.submit()
    updates = await buyer.follow(await buyer.submit())
    positions = [update.queue_position for update in updates if update.queue_position is not None]
    assert positions == sorted(positions, reverse=True)
    assert positions[0] == 1
    assert updates[-1].status is FalStatus.COMPLETED


async def test_runner_lost_shows_as_queued_again(buyer: Buyer, emulator: EmulatorProcess) -> None:
    emulator.settings(latency=0.4)
    emulator.fault("requeue", count=1)
    await buyer.upload()
    states = [update.status for update in await buyer.follow(await buyer.submit())]
    first = states.index(FalStatus.RUNNING)
    assert FalStatus.QUEUED in states[first:]
    assert states[-1] is FalStatus.COMPLETED


async def test_failed_request_says_why_in_its_last_update(buyer: Buyer, emulator: EmulatorProcess) -> None:
    emulator.fault("500", count=1)
    await buyer.upload()
    last = (await buyer.follow(await buyer.submit()))[-1]
    assert last.status is FalStatus.COMPLETED
    assert last.error


async def test_unknown_request_is_gone_once_fal_has_denied_it_for_the_grace(fal: FalGateway) -> None:
    request = fal.hosts.request(MODEL, "00000000-0000-0000-0000-000000000000")
    updates: list[FalStatus] = []

    async def follow() -> None:
        async for update in fal.follow(request):
            updates.append(update.status)  # noqa: PERF401 - the last one raises

    began = asyncio.get_running_loop().time()
    with pytest.raises(FalResultGone):
        await follow()
    assert asyncio.get_running_loop().time() - began >= FAST.grace
    assert set(updates) == {FalStatus.DENIED}
    assert len(updates) > 1


async def followed(
    script: Script, *, silent: float = 5.0, quiet: float = 60.0, settle: float = FAST.settle
) -> tuple[list[FalUpdate], list[str]]:
    """The updates of a request followed at this server, and the paths asked for."""
    pace = msgspec.structs.replace(FAST, idle=silent, quiet=quiet, settle=settle)
    async with raw_server(script) as server, FalGateway(KEY, FalHosts.at(server.url), pace=pace) as gateway:
        request = gateway.hosts.request(MODEL, "r")
        async with asyncio.timeout(60):
            updates = [update async for update in gateway.follow(request)]
        return updates, [one.request_line.split()[1] for one in server.requests]


def is_stream(exchange: Exchange) -> bool:
    return "/status/stream" in exchange.request_line


async def open_stream(exchange: Exchange, *events: bytes) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for event in events:
        await exchange.send(b"data: " + event + b"\n\n")


async def cut_stream(exchange: Exchange) -> None:
    if is_stream(exchange):
        await open_stream(exchange, RUNNING)
    else:
        await exchange.reply("200 OK", COMPLETED)


async def silent_stream(exchange: Exchange) -> None:
    if is_stream(exchange):
        await open_stream(exchange, RUNNING)
        await never(exchange)
    await exchange.reply("200 OK", COMPLETED)


async def no_stream(exchange: Exchange) -> None:
    await exchange.reply(*(("405 No",) if is_stream(exchange) else ("200 OK", COMPLETED)))


async def endless_line(exchange: Exchange) -> None:
    if is_stream(exchange):
        await open_stream(exchange, b"x" * 1_000_000)
    else:
        await exchange.reply("200 OK", COMPLETED)


async def broken_json(exchange: Exchange) -> None:
    if is_stream(exchange):
        await open_stream(exchange, b'{"status":"IN_PRO')
    else:
        await exchange.reply("200 OK", COMPLETED)


@pytest.mark.parametrize("script", [cut_stream, silent_stream, no_stream, endless_line, broken_json])
async def test_polling_takes_over_where_the_stream_fails(script: Script) -> None:
    updates, _ = await followed(script, silent=0.3)
    assert updates[-1].status is FalStatus.COMPLETED


async def test_stream_that_only_sends_comments_is_asked_about() -> None:
    """It has lost the last word: FAL keeps a result for minutes, and nobody would have asked for it."""
    statuses = iter([RUNNING, COMPLETED])
    streams = 0

    async def lossy(exchange: Exchange) -> None:
        nonlocal streams
        if not is_stream(exchange):
            await exchange.reply("200 OK", next(statuses))
            return
        streams += 1
        await open_stream(exchange, RUNNING)
        while True:
            await exchange.send(b": ping\n\n")
            await asyncio.sleep(0.02)

    updates, _ = await followed(lossy, quiet=0.3)
    assert [update.status for update in updates] == [FalStatus.RUNNING, FalStatus.COMPLETED]
    assert streams == 2


async def test_errors_of_any_kind_are_waited_out_on_the_same_request() -> None:
    errors = iter(["500 x", "502 x", "429 x", "401 x", "404 x", "drop", "200 OK"])

    async def moody(exchange: Exchange) -> None:
        if is_stream(exchange):
            return
        if (status := next(errors)) != "drop":
            await exchange.reply(status, COMPLETED if status == "200 OK" else b"{}")

    updates, paths = await followed(moody, settle=60)
    assert [update.status for update in updates] == [FalStatus.DENIED, FalStatus.COMPLETED]
    assert {path.split("?")[0].removesuffix("/stream") for path in paths} == {f"/{MODEL}/requests/r/status"}


async def test_stream_is_tried_again_after_a_while_of_polling() -> None:
    streams = 0

    async def recovering(exchange: Exchange) -> None:
        nonlocal streams
        if not is_stream(exchange):
            await exchange.reply("202 Accepted", RUNNING)
        elif (streams := streams + 1) == 1:
            await exchange.reply("503 x")
        else:
            await open_stream(exchange, RUNNING, COMPLETED)

    updates, _ = await followed(recovering)
    assert [update.status for update in updates] == [FalStatus.RUNNING, FalStatus.COMPLETED]
    assert streams == 2


async def test_word_that_fal_does_not_have_is_passed_over() -> None:
    async def odd(exchange: Exchange) -> None:
        await open_stream(
            exchange, b'{"status":"PAUSED"}', RUNNING, b'{"status":"COMPLETED","error":{"a":1}}'
        )

    updates, _ = await followed(odd)
    assert updates == [
        FalUpdate(FalStatus.RUNNING),
        FalUpdate(FalStatus.COMPLETED, error='{"a":1}'),
    ]


NESTED = b'{"status":"FAILED","error":' + b"[" * 20_000 + b"]" * 20_000 + b"}"


@pytest.mark.long
@pytest.mark.parametrize(
    "said",
    [
        *(b'{"status":"PAUSED"}', b"<h1>Welcome</h1>", b"", b"[]", b"null"),
        pytest.param(b'{"status":"\xff"}', id="no UTF-8"),
        pytest.param(NESTED, id="nested too deeply"),
    ],
)
@pytest.mark.parametrize("streams", [True, False])
async def test_status_that_is_never_understood_is_settled_by_the_result(said: bytes, streams: bool) -> None:
    results = iter(["400 x", "200 OK"])

    async def odd(exchange: Exchange) -> None:
        if is_stream(exchange) and streams:
            await open_stream(exchange, said)
            for _ in range(50):
                await exchange.send(b": ping\n\n")
                await asyncio.sleep(0.02)
        elif is_stream(exchange):
            await exchange.reply("404 x")
        elif "/status" in exchange.request_line:
            await exchange.reply("200 OK", said)
        else:
            await exchange.reply(next(results), b'{"detail":"Request is still in progress"}')

    updates, _ = await followed(odd)
    assert updates == [FalUpdate(FalStatus.COMPLETED)]


@pytest.mark.parametrize(
    "word", ["FAILED", "Cancelled", "canceled", "ERROR", "timeout", "done", "ok", "SUCCEEDED"]
)
async def test_word_that_sounds_like_an_end_is_one_once_the_result_is_there(word: str) -> None:
    results = iter(["400 x", "503 x", "200 OK"])

    async def odd(exchange: Exchange) -> None:
        if is_stream(exchange):
            await exchange.reply("404 x")
        elif "/status" in exchange.request_line:
            await exchange.reply("200 OK", b'{"status":"%s","error":"out of memory"}' % word.encode())
        else:
            await exchange.reply(next(results), b'{"detail":"Request is still in progress"}')

    updates, _ = await followed(odd)
    assert updates == [
        FalUpdate(FalStatus.UNCLEAR, error="out of memory"),
        FalUpdate(FalStatus.COMPLETED, error="out of memory"),
    ]
    assert next(results, None) is None


async def test_position_of_another_type_hides_no_state() -> None:
    async def odd(exchange: Exchange) -> None:
        await open_stream(exchange, b'{"status":"in_queue","queue_position":"next"}', COMPLETED)

    updates, _ = await followed(odd)
    assert [update.status for update in updates] == [FalStatus.QUEUED, FalStatus.COMPLETED]
    assert updates[0].queue_position is None


async def test_follower_that_is_closed_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def watching(exchange: Exchange) -> None:
        await open_stream(exchange, RUNNING)
        try:
            while True:
                await asyncio.sleep(0.01)
                await exchange.send(b": comment\n\n")
        finally:
            closed.set()

    async with raw_server(watching) as server, FalGateway(KEY, FalHosts.at(server.url), pace=FAST) as gateway:
        async with aclosing(gateway.follow(gateway.hosts.request(MODEL, "r"))) as updates:
            await anext(updates)
        await asyncio.wait_for(closed.wait(), 60)
