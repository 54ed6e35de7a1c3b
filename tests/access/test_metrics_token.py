"""The token of `/metrics`: what it opens, and what happens to who guesses at it."""

from collections.abc import Callable
from pathlib import Path

from redis.asyncio import Redis

from image2model.access.rates import GUESSES
from tests.access.conftest import MakeCaller
from tests.access.test_spend_metrics import buy
from tests.support.served_api import Service

TOKEN = "for-prometheus-alone"
SPEND = b"image2model_spend_usd{"


def test_guessing_the_token_ends_in_429_also_for_the_right_one(make_service: Callable[..., Service]) -> None:
    service = make_service(metrics_token=TOKEN)

    def scrape(token: str) -> int:
        return service.get("/metrics", authorization=f"Bearer {token}").status

    assert {service.get("/metrics").status for _ in range(GUESSES[0] + 1)} == {401}  # nothing was guessed
    assert scrape(TOKEN) == 200
    assert {scrape(f"guess-{n}") for n in range(GUESSES[0])} == {401}
    assert scrape("one-more") == 429
    assert scrape(TOKEN) == 429


async def test_spending_is_told_only_to_who_has_a_token(
    make_caller: MakeCaller, make_service: Callable[..., Service], redis: Redis, tmp_path: Path
) -> None:
    await buy(await make_caller("ann"), redis, tmp_path)
    for_all = make_service().get("/metrics")
    assert (for_all.status, SPEND in for_all.content, b"ann" in for_all.content) == (200, False, False)
    assert b"image2model_queue_depth" in for_all.content
    with_token = make_service(metrics_token=TOKEN).get("/metrics", authorization=f"Bearer {TOKEN}")
    assert SPEND in with_token.content
