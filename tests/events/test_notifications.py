"""Notifications arrive again after each loss of the store, to those who listened and to who comes later."""

import asyncio
import signal
from pathlib import Path

import pytest
import uvloop

from image2model.events.notifications import Notifications
from image2model.store.connection import connect, connect_for_pubsub
from image2model.store.identity import StoreWatch
from tests.support.crashing_store import CrashingStore


async def _churn(notifications: Notifications, name: str) -> None:
    """Listeners that come and go, so that the connection is written to when it breaks."""
    for number in range(10**6):
        owner = f"{name}-{number % 3}"
        notifications.subscribe(owner)
        await asyncio.sleep(0.005)
        notifications.unsubscribe(owner)


async def _survives(folder: Path, number: signal.Signals) -> None:
    store = CrashingStore(folder)
    await store.start()
    redis = connect_for_pubsub(store.url)
    client = connect(store.url)
    notifications = Notifications(
        redis, StoreWatch(client, "one"), lambda _owner, _notification: None, lambda: None
    )
    running = asyncio.create_task(notifications.run())
    churn = [asyncio.create_task(_churn(notifications, str(one))) for one in range(5)]
    try:
        for round_number in range(4):
            await store.restart(number, 0.1)
            notifications.subscribe(f"new-{round_number}")
            await notifications.wait_until_subscribed(f"new-{round_number}")
            assert not running.done()
    finally:
        notifications.stop_waiting()
        for task in (running, *churn):
            task.cancel()
        await asyncio.gather(running, *churn, return_exceptions=True)
        await redis.aclose()
        await client.aclose()
        store.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_new_listeners_are_heard_after_every_loss_of_the_store(
    tmp_path: Path, number: signal.Signals
) -> None:
    uvloop.run(_survives(tmp_path / "store", number))
