"""The backlog of a slow client: in order, merged within a status, no larger than what is still to be sent."""

from image2model.events.frames import Backlog, Frame

LARGE = b"x" * 60_000
"""Two of these do not fit into one write."""


def frame(position: int, image_id: str, status: str = "queued", data: bytes = LARGE) -> Frame:
    return Frame(position=position, data=data, image_id=image_id, status=status)


def test_later_state_within_one_status_replaces_the_earlier() -> None:
    backlog = Backlog()
    backlog.add(frame(1, "a"), merge=True)
    backlog.add(frame(2, "b"), merge=True)
    backlog.add(frame(3, "a"), merge=True)
    backlog.add(frame(4, "a", "preparing"), merge=True)
    taken = [one.position for _ in range(3) for one in backlog.take()]
    assert taken == [2, 3, 4]
    assert not backlog


def test_state_that_was_taken_is_not_replaced() -> None:
    backlog = Backlog()
    backlog.add(frame(1, "a"), merge=True)
    backlog.add(frame(2, "b"), merge=True)
    assert [one.position for one in backlog.take()] == [1]
    backlog.add(frame(3, "a"), merge=True)
    assert [one.position for _ in range(2) for one in backlog.take()] == [2, 3]


def test_client_that_never_catches_up_leaves_nothing_of_what_it_was_sent() -> None:
    """It is always one frame behind, so that the backlog never becomes empty."""
    backlog = Backlog()
    backlog.add(frame(0, "image 0"), merge=True)
    for number in range(1, 5_000):
        backlog.add(frame(number, f"image {number}"), merge=True)
        assert len(backlog.take()) == 1
    assert len(backlog._newest) == 1
