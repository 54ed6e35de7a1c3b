"""`submit`: every picture's model at its place, nothing sent twice, the truth at the end."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, KilledSubmit, MakePicture
from tests.support.service import Service, model_of, problem
from tests.support.wait import wait_until


def _models(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.glb"))


def test_folder_and_file_become_models_by_their_paths(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("chair.png")
    picture("deep/er/table.png")
    (photos / "notes.txt").write_text("no picture")
    single = tmp_path / "single.jpg"
    single.write_bytes(b"\xff\xd8\xff and so on")
    done = cli("submit", photos, single, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert _models(tmp_path / "out") == ["chair.glb", "deep/er/table.glb", "single.glb"]
    image = next(iter(service.jobs.values())).document["images"][0]
    assert image["filename"] == "chair.png"
    assert (tmp_path / "out" / "chair.glb").read_bytes() == model_of(image["image_id"])
    assert "notes.txt" in done.stdout
    assert "3 models saved" in done.stdout
    assert "0.90 USD" in done.stdout


def test_second_run_sends_nothing(cli: Cli, picture: MakePicture, photos: Path, service: Service) -> None:
    for number in range(30):
        picture(f"{number}.png")
    assert cli("submit", photos).returncode == 0
    assert sorted(map(len, service.uploads)) == [5, 25]
    again = cli("submit", photos)
    assert again.returncode == 0
    assert len(service.uploads) == 2
    assert "30 done before" in again.stdout


def test_clashing_names_get_the_same_numbers_on_every_run(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path
) -> None:
    picture("chair.png", "one")
    picture("chair.webp", "two")
    assert cli("submit", photos).returncode == 0
    out = tmp_path / "models"
    assert _models(out) == ["chair-2.glb", "chair.glb"]
    before = {name: (out / name).read_bytes() for name in _models(out)}
    picture("chair.jpg", "three")
    assert cli("submit", photos).returncode == 0
    assert _models(out) == ["chair-2.glb", "chair-3.glb", "chair.glb"]
    assert {name: (out / name).read_bytes() for name in before} == before


def test_a_file_of_somebody_else_is_not_replaced(cli: Cli, picture: MakePicture, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "chair.glb").write_text("mine")
    assert cli("submit", picture("chair.png")).returncode == 0
    assert (tmp_path / "models" / "chair.glb").read_text() == "mine"
    assert _models(tmp_path / "models") == ["chair-2.glb", "chair.glb"]


def test_identical_pictures_are_sent_once_and_each_gets_its_model(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png", "same")
    picture("b.png", "same")
    assert cli("submit", photos).returncode == 0
    assert service.uploads == [["a.png"]]
    picture("c.png", "same")
    service.forget()
    assert cli("submit", photos).returncode == 0
    assert len(service.uploads) == 1
    models = [(tmp_path / "models" / f"{name}.glb").read_bytes() for name in "abc"]
    assert models[0] == models[1] == models[2]


def test_changed_picture_is_sent_and_its_model_replaced(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png", "before")
    assert cli("submit", photos).returncode == 0
    before = (tmp_path / "models" / "a.glb").read_bytes()
    picture("a.png", "after")
    assert cli("submit", photos).returncode == 0
    assert len(service.uploads) == 2
    assert (tmp_path / "models" / "a.glb").read_bytes() != before
    assert _models(tmp_path / "models") == ["a.glb"]


def test_file_argument_that_is_no_picture_is_wrong_usage(cli: Cli, photos: Path, service: Service) -> None:
    text = photos / "text.png"
    text.write_text("hello")
    done = cli("submit", text)
    assert done.returncode == 2
    assert "not a PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP picture" in done.stderr
    assert service.uploads == []


def test_file_arguments_that_are_no_pictures_are_all_named(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    for name in ("text.png", "empty.jpg"):
        (photos / name).write_text("")
    done = cli("submit", photos / "text.png", picture("good.png"), photos / "empty.jpg")
    assert done.returncode == 2
    assert "text.png, " in done.stderr
    assert "empty.jpg are not PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP pictures" in done.stderr
    assert service.uploads == []


def test_failed_and_refused_pictures_are_named_and_retried_only_when_asked(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for name in ("good.png", "bad.png", "cut.png"):
        picture(name)
    service.failing, service.refused = {"bad.png"}, {"cut.png"}
    done = cli("submit", photos)
    assert done.returncode == 1
    assert "bad.png  generation_failed: The model gave up." in done.stdout
    assert "cut.png  image_truncated: The file ends early." in done.stdout
    assert _models(tmp_path / "models") == ["good.glb"]
    again = cli("submit", photos)
    assert again.returncode == 1
    assert (len(service.uploads), service.retries) == (1, [])
    service.failing, service.refused = set(), set()
    third = cli("submit", photos, "--retry-failed")
    assert third.returncode == 0, third.stdout
    assert [len(ids or ()) for ids in service.retries] == [1]
    assert service.uploads[1:] == [["cut.png"]]
    assert _models(tmp_path / "models") == ["bad.glb", "cut.glb", "good.glb"]


def test_another_paid_attempt_is_offered_only_for_what_failed_at_the_service(
    cli: Cli, picture: MakePicture, tmp_path: Path, service: Service
) -> None:
    path = picture("b.png")
    assert cli("submit", path).returncode == 0
    (tmp_path / "models" / "b.glb").unlink()
    (tmp_path / "models" / "b.glb").mkdir()  # in the way: the model is paid for and cannot be saved
    done = cli("submit", path)
    assert "not_saved" in done.stdout
    assert "--retry-failed" not in done.stdout
    service.failing = {"c.png"}
    assert "--retry-failed" in cli("submit", picture("c.png")).stdout


def test_lost_reply_is_replayed_and_not_paid_twice(cli: Cli, picture: MakePicture, service: Service) -> None:
    service.lose_replies = 1
    assert cli("submit", picture("a.png")).returncode == 0
    assert (len(service.uploads), len(service.jobs)) == (1, 1)
    assert len({headers["idempotency-key"] for headers in service.headers}) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_is_picked_up(
    number: int,
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    tmp_path: Path,
    service: Service,
    environment: dict[str, str],
) -> None:
    picture("a.png")
    picture("b.png")
    service.running = False
    command = [sys.executable, "-m", "image2model", "submit", str(photos)]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    wait_until(lambda: len(service.uploads) == 1)
    wait_until(lambda: _job_is_written_down(tmp_path))
    first.send_signal(number)
    _, words = first.communicate(timeout=60)
    assert first.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert ("run the same command again" in words) is (number == signal.SIGINT)
    service.running = True
    assert cli("submit", photos).returncode == 0
    assert len(service.uploads) == 1
    assert _models(tmp_path / "models") == ["a.glb", "b.glb"]
    assert list((tmp_path / "models" / ".image2model" / "parts").iterdir()) == []


def test_run_that_was_killed_before_the_answer_replays_the_upload(
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    service: Service,
    killed_submit: KilledSubmit,
) -> None:
    picture("a.png")
    killed_submit(photos)
    assert cli("submit", photos).returncode == 0
    assert (len(service.uploads), len(service.jobs)) == (1, 1)


def test_lost_answer_whose_picture_has_gone_is_found_in_the_list(
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    tmp_path: Path,
    service: Service,
    killed_submit: KilledSubmit,
) -> None:
    picture("a.png")
    picture("b.png")
    killed_submit(photos)
    (photos / "b.png").unlink()
    assert cli("submit", photos).returncode == 0
    assert len(service.uploads) == 1
    assert _models(tmp_path / "models") == ["a.glb"]


def test_expired_job_is_sent_again_only_where_the_model_is_missing(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png")
    picture("b.png")
    assert cli("submit", photos).returncode == 0
    service.forget()
    (tmp_path / "models" / "a.glb").unlink()
    assert cli("submit", photos).returncode == 0
    assert service.uploads[1:] == [["a.png"]]


def test_missing_model_of_a_known_job_is_downloaded_and_not_made_again(
    cli: Cli, picture: MakePicture, tmp_path: Path, service: Service
) -> None:
    path = picture("a.png")
    assert cli("submit", path).returncode == 0
    (tmp_path / "models" / "a.glb").write_bytes(b"cut")
    assert cli("submit", path).returncode == 0
    assert len(service.uploads) == 1
    assert (tmp_path / "models" / "a.glb").stat().st_size > 100


def test_service_that_takes_less_gets_smaller_batches(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    for number in range(9):
        picture(f"{number}.png")
    service.max_files = 3
    assert cli("submit", photos).returncode == 0
    assert sorted(name for upload in service.uploads for name in upload) == [f"{n}.png" for n in range(9)]


def test_wrong_key_stops_the_run_with_the_services_words(
    cli: Cli, picture: MakePicture, service: Service
) -> None:
    service.refuse_with = [problem(401, "unauthenticated", "Send a key.")]
    done = cli("submit", picture("a.png"))
    assert done.returncode == 1
    assert "Send a key." in done.stderr
    assert cli("submit", picture("a.png")).returncode == 0


def test_json_lines_end_with_a_summary(cli: Cli, picture: MakePicture) -> None:
    done = cli("submit", picture("a.png"), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {"type": "begin", "pictures": 1, "kept": 0}
    statuses = [line["image"]["status"] for line in lines if line["type"] == "image"]
    assert list(dict.fromkeys(statuses)) == [
        *("queued", "preparing", "submitted", "generating", "storing", "succeeded"),
    ]
    assert lines[-1] == {
        "type": "summary",
        "pictures": 1,
        "cost_usd": 0.3,
        "saved": 1,
        "kept": 0,
        "failed": 0,
    }


def test_short_download_is_repeated(cli: Cli, picture: MakePicture, tmp_path: Path, service: Service) -> None:
    service.short_downloads = 1
    assert cli("submit", picture("a.png")).returncode == 0
    assert (tmp_path / "models" / "a.glb").stat().st_size > 100


def _job_is_written_down(tmp_path: Path) -> bool:
    import sqlite3

    with sqlite3.connect(tmp_path / "models" / ".image2model" / "ledger.db") as ledger:
        (found,) = ledger.execute("SELECT count(*) FROM batches WHERE job_id IS NOT NULL").fetchone()
    ledger.close()
    return bool(found == 1)


def test_service_that_does_not_answer_is_told_of_at_once(
    picture: MakePicture, tmp_path: Path, environment: dict[str, str]
) -> None:
    nobody = "http://127.0.0.1:9"  # a port that nothing listens on
    command = [sys.executable, "-m", "image2model", "submit", str(picture("a.png")), "--url", nobody]
    environment = {**environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(2)]
        run.kill()
    assert f"no answer from {nobody}" in lines[1]
    assert "trying again" in lines[1]


def test_service_that_puts_an_upload_off_is_quoted(cli: Cli, picture: MakePicture, service: Service) -> None:
    later = problem(429, "queue_full", "Wait until some have ended.", headers={"Retry-After": "0"})
    service.refuse_with = [later, later]
    done = cli("submit", picture("a.png"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Wait until some have ended; trying again") == 1


def test_failed_pictures_are_named_as_the_person_gave_them(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("bad.png")
    service.failing = {"bad.png"}
    done = cli("submit", photos.relative_to(tmp_path))
    assert "failed  my photos/bad.png  generation_failed" in done.stdout
    assert "\n  my photos/bad.png  generation_failed" in done.stdout
    assert str(tmp_path) not in done.stdout
    again = cli("submit", photos)  # another spelling is the same picture
    assert str(photos / "bad.png") in again.stdout
    assert len(service.uploads) == 1


def test_what_nobody_takes_for_a_picture_is_left_out_without_a_word(
    cli: Cli, picture: MakePicture, photos: Path
) -> None:
    picture("chair.png")
    for name in (".DS_Store", "deep/.DS_Store", ".git/config", "Thumbs.db", "desktop.ini", "notes.txt"):
        path = photos / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no picture")
    done = cli("submit", photos)
    assert [line for line in done.stdout.splitlines() if line.startswith("skipped")] == [
        f"skipped {photos}/notes.txt: not a PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP picture"
    ]


def test_of_many_files_left_out_five_are_named(cli: Cli, picture: MakePicture, photos: Path) -> None:
    picture("chair.png")
    for number in range(7):
        (photos / f"{number}.glb").write_text("an earlier model")
    words = [line for line in cli("submit", photos).stdout.splitlines() if line.startswith("skipped")]
    assert len(words) == 6
    assert words[0] == f"skipped {photos}/0.glb: not a PNG, JPEG, WebP, HEIC, AVIF, GIF, TIFF or BMP picture"
    assert words[-1] == "skipped 2 more such files"
    notes = [json.loads(line) for line in cli("submit", photos, "--json").stdout.splitlines()]
    assert len([one for one in notes if one["type"] == "note" and "skipped" in one["text"]]) == 7
