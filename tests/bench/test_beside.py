"""What `make bench BESIDE=REV` makes of the runs, and what it refuses."""

import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.bench import __main__, beside, start_up
from tests.bench.beside import RunFailed
from tests.bench.revision import Side
from tests.bench.row import at_most, ratio_at_least
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
    verdicts, rows = beside.judge(runs)
    assert [row.value for row in rows] == [2.0, 100]
    assert [(one.what, one.here, one.there, one.slower) for one in verdicts] == [
        ("a", 2.0, 1.0, True),
        ("b", 100, 99, False),
    ]
    shown = beside_as_text(verdicts).splitlines()
    assert shown[1].split() == ["a", "2", "s", "1", "s", "2.00", "+100.0%", "0.0%", "SLOWER"]
    assert shown[2].endswith("ok")


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
