"""What `make bench BESIDE=REV` makes of the runs, and what it refuses."""

import sys
import time
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tests.bench import __main__, beside, start_up
from tests.bench.beside import RunFailed
from tests.bench.revision import Side
from tests.bench.row import BASELINE, at_most, beside_baseline, ratio_at_least, ratio_at_most
from tests.bench.table import Report, beside_as_text


def test_each_row_is_judged_over_its_runs_and_the_middle_one_is_kept() -> None:
    runs = [
        (
            [at_most("a", ours, 9, "s"), ratio_at_least("b", 100, 50, 1, "req/s")],
            [at_most("a", 1, 9, "s"), other],
        )
        for ours, other in zip(
            (2.0, 3.0, 1.5),
            [ratio_at_least("b", rate, 50, 1, "req/s") for rate in (90, 101, 99)],
            strict=True,
        )
    ]
    verdicts, rows = beside.judge(runs, "abc")
    assert [row.value for row in rows] == [2.0, 100]
    assert [(one.what, one.here, one.there, one.slower) for one in verdicts] == [
        ("a", 2.0, 1.0, True),
        ("b", 100, 99, False),
    ]
    shown = beside_as_text(verdicts).splitlines()
    figures = ["2", "s", "1", "s", "2.00", "+100.0%", "75.0%", "0.0%", "-"]
    assert shown[1].split() == ["a", *figures, "<=", "9", "s", "SLOWER"]
    assert shown[2].endswith("ok")


@pytest.mark.parametrize(
    ("better", "ours", "passed"),
    [("lower", 5.0, True), ("lower", 5.1, False), ("higher", 5.0, True), ("higher", 4.9, False)],
)
def test_a_limit_that_is_a_share_holds_beside_its_revision_alone(
    better: Literal["lower", "higher"], ours: float, passed: bool
) -> None:
    rows = [beside_baseline("a", value, 0.5, "ms", better=better) for value in (ours, 10.0)]
    assert [row.passed for row in rows] == [None, None]
    runs = [([rows[0]], [rows[1]])] * 3
    [judged], _ = beside.judge(runs, f"{BASELINE}0123")
    [elsewhere], _ = beside.judge(runs, "abc")
    assert (judged.passed, elsewhere.passed) == (passed, None)
    assert ("SHORT" in beside_as_text([judged])) is not passed
    assert "SHORT" not in beside_as_text([elsewhere])


@pytest.mark.parametrize(("seconds", "passed"), [((21, 20, 25), True), ((22, 20, 25), False)])
def test_a_limit_of_the_row_itself_is_judged_by_the_median_run(
    seconds: tuple[float, ...], passed: bool
) -> None:
    runs = [([ratio_at_most("a", took, 20, 1.05, "s")], [at_most("a", 30, 99, "s")]) for took in seconds]
    [verdict], _ = beside.judge(runs, "abc")
    assert (verdict.passed, verdict.yardstick) == (passed, sorted(seconds)[1] / 20)


def test_a_run_of_another_product_than_that_of_its_side_is_refused(tmp_path: Path) -> None:
    side = Side("abc", sys.executable, tmp_path / "image2model", tmp_path, tmp_path)
    report = Report(machine="", when="", rows=[], broken={}, product=str(Path(start_up.__file__).parent))
    out = tmp_path / "run.json"
    out.write_bytes(msgspec.json.encode(report))
    with pytest.raises(RunFailed, match=r"abc measured .*bench, and not .*image2model"):
        beside._rows(side, out)


def test_a_run_that_fails_says_how_it_ended(tmp_path: Path) -> None:
    side = Side("abc", "/bin/false", tmp_path / "image2model", tmp_path, tmp_path)
    with pytest.raises(RunFailed, match="abc ended with 1"):
        beside.run(side, "start_up", quick=True)


def test_a_revision_that_git_does_not_know_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--beside", "no-such-revision"])
    began = time.monotonic()
    assert __main__.main() == 2
    assert "no-such-revision" in capsys.readouterr().out
    assert time.monotonic() - began < 30


def test_only_rows_of_the_bench_are_compared() -> None:
    assert set(beside.UNDER_A_MINUTE) < set(__main__.ROWS)
