"""`--views DIR`: which pictures are an object, what is sent of it, and what is refused before anything is."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from image2model.cli.submit.objects import collect_objects, side_of
from image2model.media.heads import WORDS
from tests.cli.conftest import Cli, KilledSubmit, MakePicture
from tests.support.service import Service
from tests.support.wait import wait_until

SIDES = ("front", "back", "left", "right")


def _models(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.glb"))


@pytest.mark.parametrize(
    ("stem", "name", "side"),
    [
        ("chair_front", "chair", "front"),
        ("chair-back", "chair", "back"),
        ("chair left", "chair", "left"),
        ("Chair_RIGHT", "Chair", "right"),
        ("chair - top", "chair", "top"),
        ("old chair_bottom", "old chair", "bottom"),
        ("left", "", "left"),
        ("left_front", "", "left_front"),
        ("chair_left_front", "chair", "left_front"),
        ("chair-right-front", "chair", "right_front"),
        ("chair right front", "chair", "right_front"),
        ("chair_front_left", "chair_front", "left"),
        ("storefront", "", ""),
        ("frontier", "", ""),
        ("front_1", "", ""),
        ("chair.front", "", ""),
        ("chair", "", ""),
        ("", "", ""),
    ],
)
def test_side_in_a_name(stem: str, name: str, side: str) -> None:
    assert side_of(stem) == (name, side)


@pytest.fixture
def found(picture: MakePicture, photos: Path, tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """The objects of pictures with these names, with their views and sides."""

    def collect(*names: str) -> dict[str, list[str]]:
        for name in names:
            picture(name)
        objects = collect_objects(photos, leave_out=tmp_path / "models").pictures
        return {
            one.default_stem: [f"{view.side}:{view.path.relative_to(photos)}" for view in one.views]
            for one in objects
        }

    return collect


def test_folders_and_common_beginnings_are_objects(found: Callable[..., dict[str, list[str]]]) -> None:
    names = ("lamp/view 10.png", "lamp/view 2.png", "lamp/right.png", "lamp/lamp_front.png")
    more = ("chair-back.png", "Chair_front.png", "v1.5_top.png", "table.png", ".hidden/x.png")
    assert found(*names, *more) == {
        "lamp": [
            "front:lamp/lamp_front.png",
            "right:lamp/right.png",
            ":lamp/view 2.png",
            ":lamp/view 10.png",
        ],
        "Chair": ["front:Chair_front.png", "back:chair-back.png"],
        "v1.5": ["top:v1.5_top.png"],
        "table": [],
    }


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"chair/{number}.png" for number in range(9)], "chair has 9 pictures: an object takes at most 8"),
        (["chair/front.png", "chair/x_front.png"], "chair shows the side front twice: front.png and x_front"),
        (["chair_front.png", "chair-front.png"], "shows the side front twice"),
        (["chair/front.png", "chair_back.png"], "are two objects of one name at the service: rename one"),
        (["a[1]/front.png", "a(1)/front.png"], "are two objects of one name at the service"),
        (["left.png", "right.png"], "left.png names a side and no object"),
        (["chair/deep/front.png"], "deep is a folder in the folder of an object"),
    ],
)
def test_what_is_no_object_is_refused_in_words(
    names: list[str], words: str, picture: MakePicture, photos: Path, cli: Cli, service: Service
) -> None:
    for name in [*names, "fine/front.png"]:
        picture(name)
    for command in ("submit", "quote"):
        done = cli(command, "--views", photos)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
    assert (service.uploads, service.quotes) == ([], [])


@pytest.mark.parametrize("name", ["chair/notes.txt", "chair/empty.png", "chair_back.heic"])
def test_view_that_is_no_picture_is_refused(
    name: str, picture: MakePicture, photos: Path, cli: Cli, service: Service
) -> None:
    picture("chair/front.png")
    (photos / name).write_text("")
    done = cli("submit", "--views", photos)
    assert done.returncode == 2
    assert f"{Path(name).name} is not a {WORDS} picture, so its object would lack a" in done.stderr
    assert service.uploads == []


def test_folders_without_pictures_and_everything_else_that_is_wrong_are_named_at_once(
    picture: MakePicture, photos: Path, cli: Cli, service: Service
) -> None:
    (photos / "empty").mkdir()
    (photos / "empty" / ".DS_Store").write_text("of the system")
    picture("left.png")
    done = cli("submit", "--views", photos)
    assert done.returncode == 2
    assert "empty has no pictures: an object needs at least one view" in done.stderr
    assert "left.png names a side and no object" in done.stderr
    assert service.uploads == []


def test_unreadable_view_is_named(photos: Path, tmp_path: Path, picture: MakePicture) -> None:
    picture("chair/front.png")
    (photos / "chair" / "back.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(click.UsageError, match=r"back\.png cannot be read: No such file"):
        collect_objects(photos, leave_out=tmp_path / "models")


def test_without_paths_and_views_the_usage_is_told(cli: Cli) -> None:
    for command in ("submit", "quote"):
        done = cli(command)
        assert done.returncode == 2
        assert "with --views" in done.stderr


def _make(picture: MakePicture, *objects: str, views: int = 4) -> None:
    for name in objects:
        for side in SIDES[:views]:
            picture(f"{name}/{side}.png", f"{name} {side}")


def test_objects_are_sent_as_such_and_their_models_named_by_them(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    _make(picture, "chair", 'a [1] "b"', views=2)
    picture("table.png")
    (photos / "notes.txt").write_text("of no object")
    done = cli("submit", "--views", photos)
    assert done.returncode == 0, done.stderr
    assert sorted(service.parts[0]) == [
        ("files", "table.png"),
        ('objects[a (1) "b"][back]', "back.png"),
        ('objects[a (1) "b"][front]', "front.png"),
        ("objects[chair][back]", "back.png"),
        ("objects[chair][front]", "front.png"),
    ]
    assert _models(tmp_path / "models") == ['a [1] "b".glb', "chair.glb", "table.glb"]
    assert "3 objects: 3 models saved" in done.stdout
    assert "notes.txt: not a PNG" in done.stdout
    again = cli("submit", "--views", photos)
    assert (again.returncode, len(service.uploads)) == (0, 1)
    assert "3 done before" in again.stdout


def test_side_that_is_renamed_or_a_view_that_changes_is_another_object(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    _make(picture, "chair", "lamp")
    assert cli("submit", "--views", photos).returncode == 0
    (photos / "chair" / "right.png").rename(photos / "chair" / "top.png")
    assert cli("submit", "--views", photos).returncode == 0
    (photos / "chair" / "top.png").rename(photos / "chair" / "from above - top.png")  # the same side
    assert cli("submit", "--views", photos).returncode == 0
    picture("lamp/front.png", "changed")
    assert cli("submit", "--views", photos).returncode == 0
    assert service.uploads == [["chair", "lamp"], ["chair"], ["lamp"]]
    assert _models(tmp_path / "models") == ["chair.glb", "lamp.glb"]


def test_picture_and_an_object_of_it_alone_are_one(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("chair/view.png", "same")
    assert cli("submit", "--views", photos).returncode == 0
    assert cli("submit", picture("lone.png", "same")).returncode == 0
    assert service.uploads == [["chair"]]
    assert _models(tmp_path / "models") == ["chair.glb", "lone.glb"]


def test_view_of_an_object_is_no_picture_of_its_own(
    cli: Cli, picture: MakePicture, photos: Path, service: Service
) -> None:
    _make(picture, "chair")
    picture("table.png")
    assert cli("submit", photos, "--views", photos).returncode == 0
    assert [sorted(names) for names in service.uploads] == [["chair", "table.png"]]


def test_batches_count_objects_and_get_smaller_where_the_service_takes_less(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    _make(picture, *(f"object {number:02}" for number in range(30)))
    service.max_files = 15
    assert cli("submit", "--views", photos).returncode == 0
    assert sorted(map(len, service.uploads)) == [5, 12, 13]
    assert len(_models(tmp_path / "models")) == 30


def test_quote_is_of_objects_and_leaves_out_what_is_saved(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    _make(picture, "chair")
    assert cli("submit", "--views", photos).returncode == 0
    _make(picture, "lamp", "table")
    service.refused = {"table"}
    done = cli("quote", "--views", photos.relative_to(tmp_path))
    assert service.quotes == [["lamp", "table"]]
    assert done.returncode == 1
    assert "3 objects, models by m\n1 would be bought at 0.30 USD each: 0.30 USD\n" in done.stdout
    assert "my photos/table  image_truncated: The file ends early." in done.stdout


def test_failed_and_refused_objects_are_named_and_retried_only_when_asked(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    _make(picture, "good", "bad", "cut")
    service.failing, service.refused = {"bad"}, {"cut"}
    done = cli("submit", "--views", photos.relative_to(tmp_path))
    assert done.returncode == 1
    assert "my photos/bad  generation_failed" in done.stdout
    assert "my photos/cut  image_truncated" in done.stdout
    service.failing, service.refused = set(), set()
    assert cli("submit", "--views", photos).returncode == 1
    assert (len(service.uploads), service.retries) == (1, [])
    assert cli("submit", "--views", photos, "--retry-failed").returncode == 0
    assert [len(ids or ()) for ids in service.retries] == [1]
    assert service.uploads[1:] == [["cut"]]
    assert _models(tmp_path / "models") == ["bad.glb", "cut.glb", "good.glb"]


def test_objects_have_their_own_data(cli: Cli, picture: MakePicture, photos: Path, service: Service) -> None:
    _make(picture, "chair", "lamp")
    picture("a.png")
    path = photos / "manifest.json"
    entries = [{"file": "lamp", "metadata": {"sku": "L"}}, {"file": "a.png", "metadata": {"sku": "A"}}]
    path.write_text(json.dumps({"files": entries}))
    done = cli("submit", "--views", photos, "--manifest", path)
    assert done.returncode == 0, done.stderr
    assert json.loads(service.fields[0]["manifest"]) == {
        "files": [{"part": 0, "metadata": {"sku": "A"}}],
        "objects": [{"name": "lamp", "metadata": {"sku": "L"}}],
    }


def test_upload_whose_answer_was_lost_is_sent_again_with_the_names_of_the_first_time(
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    tmp_path: Path,
    service: Service,
    killed_submit: KilledSubmit,
) -> None:
    _make(picture, "chair", "lamp")
    picture("one/only.png")
    (tmp_path / "none").mkdir()
    killed_submit(tmp_path / "none", "--views", str(photos))
    (photos / "chair" / "front.png").rename(photos / "chair" / "seen from the front.png")
    (photos / "one").rename(photos / "uno")
    assert cli("submit", "--views", photos).returncode == 0
    assert len(service.uploads) == 1
    assert len({headers["idempotency-key"] for headers in service.headers}) == 1
    assert all(parts == service.parts[0] for parts in service.parts)
    assert _models(tmp_path / "models") == ["chair.glb", "lamp.glb", "uno.glb"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_of_objects_is_picked_up(
    number: int,
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    tmp_path: Path,
    service: Service,
    environment: dict[str, str],
) -> None:
    _make(picture, "chair", "lamp")
    service.running = False
    command = [sys.executable, "-m", "image2model", "submit", "--views", str(photos), "--json"]
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    lines = iter(first.stdout.readline, "")
    assert any(json.loads(line)["type"] == "image" for line in lines)
    wait_until(lambda: len(service.uploads) == 1)
    first.send_signal(number)
    first.communicate(timeout=60)
    service.running = True
    assert cli("submit", "--views", photos).returncode == 0
    assert len(service.uploads) == 1
    assert _models(tmp_path / "models") == ["chair.glb", "lamp.glb"]
