"""`submit` with the names that real folders have: not UTF-8, as long as they can be, on two lines."""

import json
import os
from pathlib import Path

from image2model.cli.submit.item import printable, upload_name
from image2model.cli.submit.outputs import copy_model
from image2model.http.upload.names import display_name
from tests.cli.conftest import Cli, MakePicture
from tests.support.service import Service

LATIN = os.fsdecode("stühle.png".encode("latin-1"))


def test_name_that_is_not_utf8_is_sent_saved_and_remembered(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture(LATIN, "content")
    picture("good.png")
    done = cli("submit", photos)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "models").glob("*.glb")) == [
        "good.glb",
        "st\ufffdhle.glb",
    ]
    again = cli("submit", photos, "--json")
    assert json.loads(again.stdout.splitlines()[0]) == {"type": "begin", "pictures": 2, "kept": 2}
    assert len(service.uploads) == 1


def test_failure_under_a_name_that_is_not_utf8_is_told(
    cli: Cli, picture: MakePicture, service: Service
) -> None:
    path = picture(LATIN, "content")
    service.failing = {upload_name(path)}
    done = cli("submit", path, "--json")
    outcome = next(one for one in map(json.loads, done.stdout.splitlines()) if one["type"] == "outcome")
    assert outcome["path"].endswith("/st\ufffdhle.png")
    assert outcome["error"]["code"] == "generation_failed"


def test_name_as_long_as_a_file_system_takes_is_saved(cli: Cli, picture: MakePicture, tmp_path: Path) -> None:
    path = picture("n" * 251 + ".png")
    done = cli("submit", path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "models" / ("n" * 251 + ".glb")).is_file()


def test_refusal_finds_its_picture_whatever_the_service_shows_of_the_name(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    path = picture("two\nlines.png")
    picture("good.png")
    service.refused = {display_name(path.name, 0)}
    done = cli("submit", photos)
    assert "two\ufffdlines.png  image_truncated: The file ends early." in done.stdout


def test_sent_name_is_one_that_the_service_leaves_alone() -> None:
    odd = ("a\nb.png", "a\\b.png", " a .png", LATIN, "ü" * 200 + ".jpeg", "a." + "b" * 240, "\u202egnp.exe")
    for name in odd:
        sent = upload_name(Path(name))
        assert display_name(sent, 0) == sent
    assert upload_name(Path("\u202e")) == "picture"


def test_legible_name_does_not_command_the_terminal() -> None:
    assert printable(Path("a\x1b[31m\r\n.png")) == "a\ufffd[31m\ufffd\ufffd.png"


def test_copies_of_one_name_do_not_share_a_part(tmp_path: Path) -> None:
    (tmp_path / ".image2model" / "parts").mkdir(parents=True)
    (tmp_path / "a.glb").write_text("model")
    (tmp_path / ".image2model" / "parts" / "b.glb.copy").mkdir()  # the other copy's, still under way
    copy_model(tmp_path, "a.glb", "b.glb")
    assert (tmp_path / "b.glb").read_text() == "model"
