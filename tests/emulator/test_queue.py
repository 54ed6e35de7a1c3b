"""The queue: states, positions, concurrency for each key, timeouts, cancel, and the ledger's counts."""

import asyncio

import aiohttp
import httpx
import pytest

from fal_emulator.config import Config
from fal_emulator.queue_routes import Target, parse_target
from tests.support.emulator import AUTHORIZATION, TRIPO, RunningEmulator, running_emulator
from tests.support.sketches import picture

ANY = {"image_url": "data:,x"}


async def test_status_codes_and_shapes_from_queue_to_end(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=0.2, concurrency=1)
    url = await emulator.upload(picture())
    running = (await emulator.submit(ANY, x_emulator_latency="30s")).json()
    waiting = (await emulator.submit({"image_url": url})).json()
    first = await emulator.http.get(running["status_url"], params={"logs": "true"})
    second = await emulator.http.get(waiting["status_url"])
    early = await emulator.http.get(waiting["response_url"])
    following = asyncio.ensure_future(emulator.follow(waiting))
    await emulator.http.put(running["cancel_url"])
    statuses = await following
    last = await emulator.http.get(waiting["status_url"])

    assert (first.status_code, first.json()["status"]) == (202, "IN_PROGRESS")
    assert first.json()["logs"][0]["source"] == "USER"
    assert (second.status_code, second.json()["queue_position"]) == (202, 0)
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    assert [status["status"] for status in statuses][-2:] == ["IN_PROGRESS", "COMPLETED"]
    assert (last.status_code, last.json()["logs"]) == (200, None)
    assert last.json()["metrics"]["inference_time"] >= 0.19


async def test_urls_keep_only_owner_and_alias(emulator: RunningEmulator) -> None:
    submitted = (await emulator.submit(ANY)).json()
    base = f"{emulator.url}/tripo3d/tripo/requests/{submitted['request_id']}"

    assert submitted["response_url"] == base
    assert submitted["status_url"] == f"{base}/status"
    assert submitted["cancel_url"] == f"{base}/cancel"


async def test_aliases_of_the_result(emulator: RunningEmulator) -> None:
    submitted = (await emulator.submit({"image_url": await emulator.upload(picture())})).json()
    await emulator.follow(submitted)
    full = f"{emulator.url}/{TRIPO}/requests/{submitted['request_id']}"
    urls = [f"{submitted['response_url']}{end}" for end in ("", "/", "/response", "/response/")] + [full]

    assert [(await emulator.http.get(url)).status_code for url in urls] == [200] * 5


def test_namespaces_keep_three_segments() -> None:
    assert parse_target("workflows/me/chain/sub/requests/7/status/") == Target(
        "workflows/me/chain", "7", "status"
    )
    assert parse_target("comfy/me/chain/requests/7") == Target("comfy/me/chain", "7", "")
    assert parse_target("fal-ai/requests") is None


async def test_unknown_request_is_404_everywhere(emulator: RunningEmulator) -> None:
    base = f"{emulator.url}/tripo3d/tripo/requests/1234"
    replies = [await emulator.http.get(base), await emulator.http.get(f"{base}/status")]
    replies.append(await emulator.http.put(f"{base}/cancel"))

    assert [reply.status_code for reply in replies] == [404] * 3
    assert replies[1].json()["status"] == "NOT_FOUND"


async def test_concurrency_is_for_each_key_and_extras_wait_in_order(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=30, concurrency=2)
    mine = [(await emulator.submit(ANY)).json() for _ in range(5)]
    low = (await emulator.submit(ANY, x_fal_queue_priority="low")).json()
    mine.append((await emulator.submit(ANY)).json())
    other = (await emulator.submit(ANY, authorization="Key other:secret")).json()

    async def place(submitted: dict[str, str]) -> object:
        status = (await emulator.http.get(submitted["status_url"])).json()
        return status.get("queue_position", status["status"])

    assert [await place(one) for one in mine] == ["IN_PROGRESS"] * 2 + [0, 1, 2, 3]
    assert await place(low) == 4
    assert await place(other) == "IN_PROGRESS"
    await emulator.http.put(mine[2]["cancel_url"])
    assert await place(mine[3]) == 0
    await emulator.settings(concurrency=4)
    assert [await place(one) for one in mine[3:]] == ["IN_PROGRESS", "IN_PROGRESS", 0]
    assert await place(low) == 1


async def test_stream_tells_a_change_of_position(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=30, concurrency=1)
    _, ahead, behind = [(await emulator.submit(ANY)).json() for _ in range(3)]
    positions: list[int] = []
    async with emulator.http.stream("GET", f"{behind['status_url']}/stream") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                positions.append(httpx.Response(200, text=line[6:]).json()["queue_position"])
                if positions[-1] == 0:
                    break
                await emulator.http.put(ahead["cancel_url"])

    assert positions == [1, 0]


async def test_start_timeout_ends_a_waiting_request_with_504(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=30, concurrency=1)
    await emulator.submit(ANY)
    waiting = (await emulator.submit(ANY, x_fal_request_timeout="0.1")).json()
    statuses = await emulator.follow(waiting)
    result = await emulator.http.get(waiting["response_url"])

    assert statuses[-1]["error_type"] == "request_timeout"
    assert result.status_code == 504
    assert result.headers["x-fal-request-timeout-type"] == "user"


async def test_max_queue_length_refuses_with_429(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=30, concurrency=1)
    codes = [(await emulator.submit(ANY, query="?fal_max_queue_length=1")).status_code for _ in range(4)]

    assert codes == [200, 200, 200, 429]
    assert len((await emulator.ledger())["submissions"]) == 3


async def test_cancel_codes(emulator: RunningEmulator) -> None:
    submitted = (await emulator.submit(ANY, x_emulator_latency="30s")).json()
    replies = [await emulator.http.put(submitted["cancel_url"]) for _ in range(2)]
    status = (await emulator.http.get(submitted["status_url"])).json()

    assert [(reply.status_code, reply.json()["status"]) for reply in replies] == [
        (202, "CANCELLATION_REQUESTED"),
        (400, "ALREADY_COMPLETED"),
    ]
    assert (status["status"], status["error_type"]) == ("COMPLETED", "client_cancelled")


async def test_ledger_counts_submissions_tags_and_most_in_flight(emulator: RunningEmulator) -> None:
    url = await emulator.upload(picture())
    submits = [
        emulator.result({"image_url": url, "seed": n}, x_fal_tags=f"n={n},attempt=a", x_emulator_latency="1s")
        for n in range(5)
    ]
    await asyncio.gather(*submits)
    ledger = await emulator.ledger()
    lines = ledger["submissions"]

    assert ledger["max_in_flight"] == 5
    assert {(line["tags"]["n"], line["input"]["seed"]) for line in lines} == {(str(n), n) for n in range(5)}
    assert {line["outcome"] for line in lines} == {"succeeded"}
    assert all(line["accepted_at"] <= line["started_at"] < line["finished_at"] for line in lines)
    assert set(lines[0]) == {
        *("request_id", "endpoint", "input", "tags"),
        *("accepted_at", "started_at", "finished_at", "outcome"),
        *("billable_units", "billed_usd", "inputs", "outputs"),
    }

    await emulator.http.delete("/_emulator/ledger")
    assert await emulator.ledger() == {"max_in_flight": 0, "submissions": []}


@pytest.mark.long
async def test_latency_is_kept_for_a_thousand_at_once(emulator: RunningEmulator) -> None:
    await emulator.settings(latency=5, concurrency=1000)
    async with aiohttp.ClientSession(emulator.url, headers=AUTHORIZATION) as session:

        async def submit() -> None:
            async with session.post(f"/{TRIPO}", json=ANY) as reply:
                await reply.read()

        await asyncio.gather(*(submit() for _ in range(1000)))
    generations = emulator.state.ledger.generations
    plain = asyncio.create_task(_lateness_of_a_timer(5))
    await asyncio.gather(*(emulator.ended(one) for one in generations))
    late = sorted(generation.seconds - 5 for generation in generations)

    ledger = await emulator.ledger()
    # all of them, unless the machine is so busy that accepting them takes longer than the first one runs
    first_end = min(line["finished_at"] for line in ledger["submissions"])
    assert ledger["max_in_flight"] >= sum(line["started_at"] < first_end for line in ledger["submissions"])
    assert late[0] > -0.01
    assert late[500] < 0.05 + 3 * await plain


async def _lateness_of_a_timer(seconds: float) -> float:
    """By how much the worst of many plain timers is late meanwhile: what a busy machine costs."""
    loop = asyncio.get_running_loop()

    async def one(pause: float) -> float:
        due = loop.time() + pause
        await asyncio.sleep(pause)
        return loop.time() - due

    return max(await asyncio.gather(*(one(seconds * n / 50) for n in range(1, 51))))


@pytest.mark.parametrize(
    "headers",
    [
        {"x_fal_tags": "UPPER=1"},
        {"x_fal_tags": "fal.reserved=1"},
        {"x_fal_tags": "novalue"},
        {"x_fal_tags": ",".join(f"k{n}=1" for n in range(11))},
        {"x_fal_request_timeout": "soon"},
        {"x_emulator_fault": "no_such_fault"},
        {"x_emulator_latency": "a while"},
    ],
)
async def test_wrong_headers_are_refused_with_400(emulator: RunningEmulator, headers: dict[str, str]) -> None:
    reply = await emulator.submit(ANY, **headers)

    assert reply.status_code == 400
    assert (await emulator.ledger())["submissions"] == []


async def test_open_stream_gets_comments_while_nothing_changes() -> None:
    async with running_emulator(Config(latency=30, ping_interval=0.02)) as emulator:
        submitted = (await emulator.submit(ANY)).json()
        async with emulator.http.stream("GET", f"{submitted['status_url']}/stream") as stream:
            lines = stream.aiter_lines()
            seen = [await anext(lines) for _ in range(5)]

    assert seen[0].startswith("data: ")
    assert seen[2] == seen[4] == ": ping"


async def test_result_lives_for_its_time_only() -> None:
    async with running_emulator(Config(latency=0.01, result_ttl=0)) as emulator:
        submitted = (await emulator.submit({"image_url": await emulator.upload(picture())})).json()
        await emulator.follow(submitted)

        assert (await emulator.http.get(submitted["response_url"])).status_code == 404


async def test_what_runs_when_the_emulator_stops_never_ends() -> None:
    """Its end would be written to the disk, which goes as the last thing."""
    async with running_emulator(Config(latency=30)) as emulator:
        submitted = (await emulator.submit(ANY)).json()
        running = emulator.state.request(submitted["request_id"])
        assert running is not None
        assert running.work is not None
        await running.work
        emulator.state.close()

        assert running.timer is not None
        assert running.timer.cancelled()
