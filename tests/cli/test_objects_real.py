"""Objects of several views from the command line to the real service, and the ledger of its emulator."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, draw, models
from tests.support.command import environment
from tests.support.emulator_process import EmulatorProcess

SIDES = ("front", "back", "left", "right")
MULTI = "fal-ai/trellis/multi"
SIDED = "tripo3d/tripo/v2.5/multiview-to-3d"


@pytest.fixture
def photos(tmp_path: Path) -> None:
    """25 objects of 4 views."""
    for number in range(25):
        for side in SIDES:
            draw(tmp_path / "photos" / f"object {number:02}" / f"{side}.png", f"{number} {side}")


@pytest.mark.long
@pytest.mark.usefixtures("photos")
def test_25_objects_of_4_views_are_25_requests_and_25_models_and_again_nothing(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    own = ("--views", "photos", "--model", MULTI, "--max-cost", "9")
    quoted = run("quote", *own, "--json")
    assert quoted.returncode == 0, quoted.stdout + quoted.stderr
    assert json.loads(quoted.stdout)["buy"] == 25
    done = run("submit", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "25 objects: 25 models saved" in done.stdout
    requests = emulator.submissions()
    assert len(requests) == 25
    assert {len(one["input"]["image_urls"]) for one in requests} == {4}
    made = models(tmp_path / "models")
    assert sorted(made) == [f"object {number:02}.glb" for number in range(25)]

    again = run("submit", *own)
    assert (again.returncode, len(emulator.submissions())) == (0, 25)
    assert "25 done before" in again.stdout
    elsewhere = run("submit", *own, "--out", "other")
    assert elsewhere.returncode == 0, elsewhere.stdout
    assert len(emulator.submissions()) == 25
    assert "cost 0.00 USD" in elsewhere.stdout
    assert models(tmp_path / "other") == made


@pytest.mark.long
@pytest.mark.usefixtures("photos")
def test_killed_in_the_middle_none_is_lost_and_none_sent_twice(
    run: Run, tmp_path: Path, settings: dict[str, str], emulator: EmulatorProcess
) -> None:
    own = ("--views", "photos", "--model", MULTI, "--max-cost", "9")
    command = [sys.executable, "-m", "image2model", "submit", *own, "--json"]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    outcomes = 0
    for line in iter(first.stdout.readline, ""):
        outcomes += json.loads(line)["type"] == "outcome"
        if outcomes == 3:
            break
    first.kill()
    first.communicate(timeout=60)
    assert outcomes == 3
    assert len(models(tmp_path / "models")) < 25
    done = run("submit", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(emulator.submissions()) == 25
    assert len(models(tmp_path / "models")) == 25


@pytest.mark.long
def test_sides_go_into_the_models_own_inputs_and_the_documents(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    for side in ("left", "front", "back", "right"):
        draw(tmp_path / "photos" / f"chair v1.5_{side}.png", side)
    done = run("submit", "--views", "photos", "--model", SIDED, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(models(tmp_path / "models")) == ["chair v1.5.glb"]
    (request,) = emulator.submissions()
    assert {name for name in request["input"] if name.endswith("image_url")} == {
        *("front_image_url", "left_image_url", "back_image_url", "right_image_url"),
    }
    job_id = next(json.loads(line)["job_id"] for line in done.stdout.splitlines() if '"outcome"' in line)
    (image,) = json.loads(run("status", job_id, "--json").stdout)["images"]
    assert [(view["side"], view["filename"]) for view in image["views"]] == [
        (side, f"chair v1.5_{side}.png") for side in SIDES
    ]
    assert run("download", job_id, "--out", "again").returncode == 0
    assert models(tmp_path / "again") == models(tmp_path / "models")
    assert run("report", job_id, "--out", "r.html").returncode == 0
    assert "<dt>views</dt><dd>front, back, left, right</dd>" in (tmp_path / "r.html").read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("names", "model", "words"),
    [
        (SIDES, "tripo3d/tripo/v2.5/image-to-3d", "makes a model of one picture, and the object 'chair' has"),
        (("front", "top"), SIDED, "takes no view of the side top, which the object 'chair' has"),
        (("left", "back"), SIDED, "needs another view of the object 'chair': front"),
    ],
)
def test_object_that_the_model_does_not_take_is_told_and_nothing_bought(
    names: tuple[str, ...], model: str, words: str, run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    for side in names:
        draw(tmp_path / "photos" / "chair" / f"{side}.png", side)
    for command in ("quote", "submit"):
        done = run(command, "--views", "photos", "--model", model)
        assert done.returncode == 1
        assert "photos/chair  invalid_parameter: " in done.stdout
        assert words in done.stdout
    assert emulator.submissions() == []


@pytest.mark.long
def test_objects_that_the_model_does_not_take_are_named_and_the_others_are_made(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    for name, sides in {"good": SIDES, "topped": ("front", "top"), "backward": ("back",), "flat": ()}.items():
        for side in sides or ("view",):
            draw(tmp_path / "photos" / name / f"{side}.png", f"{name} {side}")
    own = ("--views", "photos", "--model", SIDED)
    quoted = run("quote", *own)
    assert "2 would be bought at" in quoted.stdout
    assert "2 would be refused:\n  photos/backward  invalid_parameter" in quoted.stdout
    done = run("submit", *own)
    assert done.returncode == 1
    assert "4 objects: 2 models saved, 0 done before, 2 failed" in done.stdout
    for name in ("topped", "backward"):
        assert f"photos/{name}  invalid_parameter" in done.stdout
    assert list(models(tmp_path / "models")) == ["flat.glb", "good.glb"]
    assert len(emulator.submissions()) == 2


@pytest.mark.long
def test_object_with_a_bad_picture_is_named_and_the_others_are_made(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    for name in ("good", "bad"):
        for side in SIDES:
            draw(tmp_path / "photos" / name / f"{side}.png", f"{name} {side}")
    cut = tmp_path / "photos" / "bad" / "left.png"
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    own = ("--views", "photos", "--model", MULTI, "--max-cost", "9")
    for command in ("quote", "submit"):
        done = run(command, *own)
        assert done.returncode == 1
        assert "photos/bad  image_truncated: left.png:" in done.stdout
    assert list(models(tmp_path / "models")) == ["good.glb"]
    assert len(emulator.submissions()) == 1
