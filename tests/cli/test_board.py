"""What the live board says: true counts, and no time left before there is something to tell it from."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from image2model.cli.submit.board import PlainBoard
from image2model.cli.submit.item import Item, Outcome
from image2model.cli.submit.live_board import LiveBoard
from image2model.cli.submit.progress import Pace, clock
from image2model.cli.submit.session import choose_board
from image2model.client import Image


def _items(count: int, job: str, status: str) -> list[Item]:
    items = []
    for number in range(count):
        name = f"{job}-{number}"
        item = Item(
            sha256=name, path=Path(f"{name}.png"), given=Path(f"{name}.png"), size=1, stems=[name], job_id=job
        )
        item.image = Image(image_id=name, status=status, cost_usd=0.3 if status == "succeeded" else None)
        items.append(item)
    return items


def _screen(items: list[Item], *, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=100, height=height, force_terminal=True, color_system=None)
    board = LiveBoard(console)
    board.begin(items)
    for item in items:
        if item.image:
            board.changed(item, item.image)
    board.connected(False)
    board.waiting(items[0].job_id or "", "account")
    board.close()
    with console.capture() as capture:
        console.print(board)
    return capture.get().lstrip("\r\n")


def test_each_batch_has_a_bar_and_its_own_counts() -> None:
    shown = _screen([*_items(3, "aaaaaaaaaa", "generating"), *_items(2, "bbbbbbbbbb", "failed")])
    assert "2/5 pictures" in shown
    assert "2 failed" in shown
    (batch,) = [line for line in shown.splitlines() if "batch" in line and "aaaaaaaa" in line]
    assert "0/3" in batch
    assert "generating 3" in batch
    assert "batches done: 1" in shown
    assert "aaaaaaaaaa-0" in shown
    assert "left" not in shown


def test_without_a_terminal_a_reason_to_wait_is_said_once_and_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = PlainBoard()
    for reason in ("endpoint", None, "endpoint", None, "account", "account", None, "endpoint"):
        board.waiting("j", reason)
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said] == ["job j"] * 3
    assert "FAL refuses this model" in said[0]
    assert "FAL refuses the service's account" in said[1]
    assert said[2] == said[0]


def test_what_holds_the_run_up_is_said_in_words() -> None:
    shown = _screen(_items(1, "j", "queued"))
    assert "No answer from the service" in shown
    assert "FAL refuses the service's account" in shown


@pytest.mark.parametrize("height", [24, 30, 50])
def test_the_board_fits_a_screen_with_200_pictures(height: int) -> None:
    items = [item for job in range(8) for item in _items(25, f"job{job}", "generating")]
    assert len(_screen(items, height=height).splitlines()) < height


def test_pictures_that_are_made_but_not_here_yet_are_told_apart() -> None:
    assert "downloading 2" in _screen(_items(2, "j", "succeeded"))


def test_time_left_comes_from_what_was_measured() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    for _ in range(4):
        now += 1
        pace.ended()
    assert pace.text(10) == ""
    now += 1
    pace.ended()
    assert pace.text(10) == "1.0/s, about 0:10 left"
    now += 300
    assert pace.text(10) == ""
    assert [clock(9), clock(750), clock(3723)] == ["0:09", "12:30", "1:02:03"]


def test_no_terminal_no_bars(capsys: pytest.CaptureFixture[str]) -> None:
    board = choose_board(as_json=False)
    assert isinstance(board, PlainBoard)
    item = _items(1, "j", "succeeded")[0]
    item.outcome, item.files = Outcome.SAVED, ["a.glb"]
    board.ended(item)
    assert "\x1b" not in capsys.readouterr().out
