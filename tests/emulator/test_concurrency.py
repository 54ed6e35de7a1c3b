"""What runs at once: an account's limit and an endpoint's, cold starts, and another program's requests."""

import asyncio

from fal_emulator.config import Config
from tests.support.emulator import TRIPO, RunningEmulator, running_emulator

ANY = {"image_url": "data:,x"}
OTHER = "fal-ai/trellis"
LOW = {"x_fal_queue_priority": "low"}


async def submit(emulator: RunningEmulator, endpoint: str = TRIPO, **headers: str) -> dict[str, str]:
    """The reply to an accepted submit, whose latency is 30 s unless a header says otherwise."""
    return dict((await emulator.submit(ANY, endpoint, **{"x_emulator_latency": "30s", **headers})).json())


async def place(emulator: RunningEmulator, submitted: dict[str, str]) -> object:
    """The position in the queue, or IN_PROGRESS."""
    status = (await emulator.http.get(submitted["status_url"])).json()
    return status.get("queue_position", status["status"])


async def places(emulator: RunningEmulator, submitted: list[dict[str, str]]) -> list[object]:
    """`place` of each."""
    return [await place(emulator, one) for one in submitted]


async def concurrency(emulator: RunningEmulator, **change: object) -> dict[str, object]:
    """Change what runs at once."""
    reply = await emulator.http.post("/_emulator/concurrency", json=change)
    return dict(reply.raise_for_status().json())


async def background(emulator: RunningEmulator, **order: object) -> dict[str, int]:
    """Add requests of another program."""
    reply = await emulator.http.post("/_emulator/background", json=order)
    return dict(reply.raise_for_status().json())


async def test_keys_of_one_account_share_its_limit(emulator: RunningEmulator) -> None:
    await concurrency(emulator, account=2)
    mine = [await submit(emulator, authorization=f"Key test-id:secret{n}") for n in range(3)]
    other = await submit(emulator, authorization="Key other-id:secret0")

    assert await places(emulator, [*mine, other]) == ["IN_PROGRESS", "IN_PROGRESS", 0, "IN_PROGRESS"]


async def test_limit_changes_while_it_runs(emulator: RunningEmulator) -> None:
    await concurrency(emulator, account=1)
    mine = [await submit(emulator) for _ in range(4)]
    assert (await concurrency(emulator, account=3))["account"] == 3
    assert await places(emulator, mine) == ["IN_PROGRESS"] * 3 + [0]
    await concurrency(emulator, account=1)
    await emulator.http.put(mine[0]["cancel_url"])
    assert await places(emulator, mine[1:]) == ["IN_PROGRESS"] * 2 + [0]
    assert (await emulator.http.get("/_emulator/settings")).json()["concurrency"] == 1


async def test_others_overtake_what_waits_for_a_full_endpoint(emulator: RunningEmulator) -> None:
    await concurrency(emulator, account=3, endpoints={OTHER: 1})
    limited = [await submit(emulator, OTHER) for _ in range(3)]
    others = [await submit(emulator) for _ in range(2)]

    assert await places(emulator, limited + others) == ["IN_PROGRESS", 0, 1, "IN_PROGRESS", "IN_PROGRESS"]
    await concurrency(emulator, account=4)
    assert await place(emulator, limited[1]) == 0
    assert await concurrency(emulator, endpoints={OTHER: None}) == {"account": 4, "endpoints": {}}
    assert await places(emulator, limited[1:]) == ["IN_PROGRESS", 0]


async def test_first_request_of_an_idle_endpoint_waits_for_a_runner() -> None:
    async with running_emulator(Config(latency=30, cold_start=1.5)) as emulator:
        warm = await submit(emulator)
        await asyncio.wait_for(_until(emulator, warm, "IN_PROGRESS"), 60)
        cold = [await submit(emulator, OTHER) for _ in range(2)]
        later = await submit(emulator)

        assert await places(emulator, [*cold, later]) == [0, 1, "IN_PROGRESS"]
        for one in cold:
            await asyncio.wait_for(_until(emulator, one, "IN_PROGRESS"), 60)
        first, *_, last = (await emulator.ledger())["submissions"]
        assert first["accepted_at"] < first["started_at"]
        assert last["accepted_at"] <= last["started_at"]


async def test_another_programs_requests_take_their_turn_and_are_in_no_ledger(
    emulator: RunningEmulator,
) -> None:
    await concurrency(emulator, account=2)
    assert (await emulator.http.post("/_emulator/background", json={"count": 1})).status_code == 422
    assert await background(emulator, count=1, latency="30s", account="test-id") == {
        "running": 1,
        "waiting": 0,
        "ended": 0,
    }
    mine = [await submit(emulator)]
    await background(emulator, count=2, latency=0.05)
    mine.append(await submit(emulator))
    assert await places(emulator, mine) == ["IN_PROGRESS", 2]
    ledger = await emulator.ledger()
    assert (len(ledger["submissions"]), ledger["max_in_flight"]) == (2, 2)
    await emulator.http.put(mine[0]["cancel_url"])
    await asyncio.wait_for(_until(emulator, mine[1], "IN_PROGRESS"), 60)
    left = (await emulator.http.get("/_emulator/background")).json()
    assert left == {"running": 1, "waiting": 0, "ended": 2}
    await emulator.http.delete("/_emulator/background")
    assert (await emulator.http.get("/_emulator/background")).json()["running"] == 0


async def test_another_program_sends_regularly_until_it_is_stopped(emulator: RunningEmulator) -> None:
    await concurrency(emulator, account=1)
    await submit(emulator)
    await background(emulator, rate=200, latency="30s")
    async with asyncio.timeout(60):
        while (await emulator.http.get("/_emulator/background")).json()["waiting"] < 5:
            await asyncio.sleep(0.01)
    await emulator.http.delete("/_emulator/background")
    assert (await emulator.http.get("/_emulator/background")).json()["waiting"] == 0


async def test_headers_tell_the_limit_only_when_switched_on(emulator: RunningEmulator) -> None:
    await concurrency(emulator, account=2)
    names = ("x-fal-concurrency-limit", "x-fal-concurrency-remaining")
    await emulator.settings(latency=30)
    silent = await emulator.submit(ANY)
    await emulator.settings(concurrency_headers=True)
    told = await emulator.submit(ANY)

    assert [silent.headers.get(name) for name in names] == [None, None]
    assert [told.headers[name] for name in names] == ["2", "0"]


async def test_wrong_changes_are_refused(emulator: RunningEmulator) -> None:
    wrong = [
        ("concurrency", {"account": -1}),
        ("concurrency", {"endpoint": {OTHER: 1}}),
        ("background", {"count": 1, "account": "a", "endpoint": "no/such"}),
        ("background", {"rate": "often"}),
    ]
    replies = [await emulator.http.post(f"/_emulator/{path}", json=body) for path, body in wrong]

    assert [reply.status_code for reply in replies] == [422] * 4


async def _until(emulator: RunningEmulator, submitted: dict[str, str], word: str) -> None:
    generation = emulator.state.find(
        "/".join(submitted["status_url"].split("/")[3:5]), submitted["request_id"]
    )
    assert generation is not None
    while generation.phase != word:
        await generation.watch()
