"""`quote`: the price of a `submit`, told before it and without a trace of the asking."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.options import SharedOptions
from tests.cli.conftest import Cli, MakePicture
from tests.support.service import Service, problem

Disk = dict[str, tuple[int, bytes]]


def _disk(folder: Path) -> Disk:
    """Everything below a folder, with its times and bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def test_price_is_told_and_nothing_is_bought_or_written(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for number in range(28):
        picture(f"{number}.png")
    picture("copy.png", "0.png")
    before = _disk(tmp_path)
    done = cli("quote", photos)
    assert done.returncode == 0, done.stderr
    assert "28 pictures in 29 files, models by m" in done.stdout
    assert "28 would be bought at 0.30 USD each: 8.40 USD" in done.stdout
    assert done.stdout.endswith("Total: 8.40 USD\n")
    assert [len(names) for names in service.quotes] == [25, 3]
    assert (service.uploads, _disk(tmp_path)) == ([], before)


def test_what_submit_has_saved_costs_nothing_again_and_is_not_touched(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("saved.png")
    assert cli("submit", photos).returncode == 0
    picture("second name.png", "saved.png")
    picture("new.png")
    before = _disk(tmp_path)
    done = cli("quote", photos)
    assert "1 would be bought at 0.30 USD each" in done.stdout
    assert "1 already saved" in done.stdout
    assert "Total: 0.30 USD" in done.stdout
    assert (service.quotes, _disk(tmp_path)) == ([["new.png"]], before)
    service.price = 9.0  # of no account: what the same submit buys is what was quoted
    assert "cost 0.30 USD" in cli("submit", photos).stdout


def test_what_is_under_way_is_not_bought_again(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    picture("bad.png")
    service.failing = {"bad.png"}
    assert cli("submit", photos).returncode == 1
    done = cli("quote", photos)
    assert "1 already sent, and not bought again" in done.stdout
    assert (done.returncode, service.quotes) == (0, [])
    assert "Total: 0.00 USD" in done.stdout


@pytest.mark.parametrize("end", ["expired", "cancelled", "never arrived"])
def test_what_submit_would_send_anew_has_its_price(
    end: str, cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png")
    if end == "never arrived":
        _write_down_an_upload(tmp_path / "models", service.url, picture("a.png"))
    else:
        assert cli("submit", photos).returncode == 0
        (tmp_path / "models" / "a.glb").unlink()
    if end == "expired":
        service.forget()
    for job in service.jobs.values():
        job.document["images"][0]["status"] = "cancelled"
    assert "1 would be bought at 0.30 USD each" in cli("quote", photos).stdout


def test_upload_whose_answer_was_lost_is_found(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    path = picture("a.png")
    assert cli("submit", photos, "--out", "other").returncode == 0
    _write_down_an_upload(tmp_path / "models", service.url, path)
    assert "1 already sent" in cli("quote", photos).stdout


def _write_down_an_upload(out: Path, url: str, path: Path) -> None:
    """As a run leaves it that was killed before the answer."""
    (out / ".image2model").mkdir(parents=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with Ledger(out / ".image2model" / "ledger.db") as ledger:
        ledger.begin("key", SharedOptions.of(url, None, None, None), [(digest, path.name)])


def test_refused_pictures_are_named_and_the_exit_code_says_so(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for name in ("good.png", "cut.png"):
        picture(name)
    service.refused = {"cut.png"}
    done = cli("quote", photos.relative_to(tmp_path))
    assert done.returncode == 1
    assert "1 would be bought at 0.30 USD each" in done.stdout
    assert "1 would be refused:\n  my photos/cut.png  image_truncated: The file ends early." in done.stdout


def test_results_that_are_there_are_free_and_an_unknown_price_is_not_invented(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    for name in ("there.png", "new.png"):
        picture(name)
    service.cached, service.price = {"there.png"}, None
    done = cli("quote", photos)
    assert "1 free: the service already has their models" in done.stdout
    assert "1 would be bought: price not known in advance" in done.stdout
    assert done.stdout.endswith("Total: price not known in advance\n")
    assert json.loads(cli("quote", photos, "--json").stdout)["total_cost_usd"] is None


def test_small_prices_are_not_rounded(cli: Cli, picture: MakePicture, service: Service) -> None:
    service.price = 0.0125
    assert "at 0.0125 USD each" in cli("quote", picture("a.png")).stdout


def test_rate_limit_is_waited_for(cli: Cli, picture: MakePicture, service: Service) -> None:
    service.refuse_with = [problem(429, "rate_limited", "Slow down.", headers={"Retry-After": "1"})] * 2
    done = cli("quote", picture("a.png"), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["total_cost_usd"] == 0.3
    assert done.stderr == "Slow down; trying again\n"


def test_service_that_takes_less_is_asked_in_smaller_parts(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    for number in range(9):
        picture(f"{number}.png")
    service.max_files = 3
    assert "9 would be bought" in cli("quote", photos).stdout
    assert sum(map(len, service.quotes)) == 9


def test_wish_that_the_service_refuses_ends_with_its_words(
    cli: Cli, picture: MakePicture, service: Service
) -> None:
    service.refuse_with = [problem(422, "unknown_model", "There is no such model.")]
    done = cli("quote", picture("a.png"), "--model", "nothing")
    assert (done.returncode, done.stderr) == (1, "image2model: There is no such model.\n")


def test_json_is_one_document(cli: Cli, picture: MakePicture, photos: Path, service: Service) -> None:
    picture("cut.png")
    (photos / "notes.txt").write_text("no picture")
    service.refused = {"cut.png"}
    done = cli("quote", photos, "--json")
    document = json.loads(done.stdout)
    (image,) = document.pop("images")
    assert image["path"] == str(photos / "cut.png")
    assert image["error"] == {"code": "image_truncated", "message": "The file ends early."}
    assert document == {
        **dict.fromkeys(("buy", "cached", "saved", "sent"), 0),
        "refused": 1,
        "pictures": 1,
        "model": "m",
        "total_cost_usd": 0.0,
        "price_note": "",
        "warnings": [],
        "left_out": [str(photos / "notes.txt")],
    }


def test_ledger_of_a_run_killed_amid_a_change_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """Such a ledger has a journal beside it, which the next `submit` takes back."""
    options = SharedOptions.of("http://127.0.0.1", None, None, None)
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.begin("key", options, [("hash", "a.png")])
    killed = tmp_path / "killed"
    killed.mkdir()
    change = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    change.executescript("PRAGMA cache_size=1; BEGIN; DELETE FROM pictures")
    change.executemany(
        "INSERT INTO batches VALUES (?, '', '', '', 0, NULL)", [(f"{n}",) for n in range(5000)]
    )
    for path in tmp_path.glob("ledger.db*"):
        shutil.copyfile(path, killed / path.name)
    change.close()
    before = _disk(killed)
    assert "ledger.db-journal" in before
    with Ledger.read_copy(killed / "ledger.db") as ledger:
        assert ledger.pictures("key") == [("hash", "a.png")]
        assert ledger.sent("hash", options) is not None
    assert _disk(killed) == before


def test_pictures_that_will_hardly_do_are_named_and_not_refused(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for name in ("good.png", "grey.png", "chair/front.png", "chair/back.png"):
        picture(name)
    uniform = {"code": "uniform", "file": "grey.png", "message": "Almost one colour."}
    tiny = {"code": "tiny", "file": "back.png", "message": "Only 20 pixels wide."}
    seed = {"code": "no_seed", "message": "This model has no seed."}
    service.quote_warnings = {"grey.png": [uniform], "chair": [tiny], "": [seed]}
    done = cli("quote", "--views", photos.relative_to(tmp_path), "--variants", "2")
    assert done.returncode == 0, done.stderr
    assert (
        "Warning: no_seed: This model has no seed.\n"
        "Will hardly become good models; they can be sent all the same:\n"
        "  my photos/chair  tiny: back.png: Only 20 pixels wide.\n"
        "  my photos/grey.png  uniform: Almost one colour.\n"
    ) in done.stdout
    document = json.loads(cli("quote", "--views", photos, "--json").stdout)
    assert [one["code"] for one in document["warnings"]] == ["no_seed"]
    assert [one["warnings"] for one in document["images"]] == [[tiny], [], [uniform]]


def test_background_option_takes_no_path_for_its_value(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    picture("a.png")
    assert cli("submit", "--remove-background", photos).returncode == 0
    assert cli("submit", "--remove-background=fal-ai/birefnet", "--crop", photos).returncode == 0
    assert [fields.get("remove_background") for fields in service.fields] == ["true", "fal-ai/birefnet"]
    assert [fields.get("crop") for fields in service.fields] == [None, "true"]
    assert len(service.uploads) == 2  # another picture goes to the model, so it is another model
