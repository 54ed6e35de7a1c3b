"""When a delivery is tried again, and when no more."""

import pytest

from image2model.webhooks.deliveries import (
    GAPS_S,
    Attempt,
    Delivery,
    DeliveryState,
    after_attempt,
    replayed,
)

NEW = Delivery(delivery_id="j-1", job_id="j", version=1, url="https://example.com/", created_at=0)


def failed(at: int = 0, status: int | None = 500) -> Attempt:
    return Attempt(at=at, duration_ms=10, status=status, error="answered 500")


def test_failures_are_tried_again_for_hours_and_then_no_more() -> None:
    delivery, gaps = NEW, []
    for _ in GAPS_S:
        at = delivery.next_at or 0
        delivery = after_attempt(delivery, delivery.turn, failed(at))
        assert delivery.state is DeliveryState.PENDING
        assert delivery.next_at is not None
        gaps.append((delivery.next_at - at - 10) / 1000)
    assert all(0.8 * want <= gap <= 1.2 * want for gap, want in zip(gaps, GAPS_S, strict=True))
    assert sum(GAPS_S) > 10 * 3600
    delivery = after_attempt(delivery, delivery.turn, failed())
    assert (delivery.state, delivery.next_at) == (DeliveryState.FAILED, None)
    assert len(delivery.attempts) == len(GAPS_S) + 1


def test_gone_receiver_is_left_alone() -> None:
    delivery = after_attempt(NEW, 1, failed(status=410))
    assert (delivery.state, delivery.next_at) == (DeliveryState.FAILED, None)


def test_taken_is_done() -> None:
    delivery = after_attempt(NEW, 1, Attempt(at=0, duration_ms=1, status=204, error=None))
    assert (delivery.state, delivery.next_at) == (DeliveryState.DELIVERED, None)


@pytest.mark.parametrize("error", [None, "answered 500"])
def test_attempt_that_a_replay_has_overtaken_is_only_noted(error: str | None) -> None:
    planned = replayed(NEW, 7)
    noted = after_attempt(planned, 1, Attempt(at=0, duration_ms=1, status=500, error=error))
    assert (noted.state, noted.turn, noted.next_at) == (DeliveryState.PENDING, 2, 7)
    assert len(noted.attempts) == 1


def test_replay_has_all_its_tries_again() -> None:
    delivery = NEW
    for _ in range(len(GAPS_S) + 1):
        delivery = after_attempt(delivery, delivery.turn, failed())
    again = after_attempt(replayed(delivery, 5), delivery.turn + 1, failed())
    assert again.state is DeliveryState.PENDING
    assert again.tries == 1
