"""Variants, comparisons, prepared pictures and second steps by the real service and the emulator."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from image2model.client import Client
from tests.cli.conftest import Run, draw
from tests.support.command import environment
from tests.support.emulator_process import EmulatorProcess
from tests.support.wait import wait_until

TRELLIS = "fal-ai/trellis"
TRIPO = "tripo3d/tripo/v2.5/image-to-3d"
RETEXTURE = "fal-ai/meshy/v5/retexture"


def models(folder: Path) -> list[str]:
    """The paths of the models."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.glb"))


@pytest.fixture
def pair(tmp_path: Path) -> None:
    """Two pictures."""
    for name in ("a", "b"):
        draw(tmp_path / "photos" / f"{name}.png", name)


@pytest.mark.long
@pytest.mark.usefixtures("pair")
def test_variants_are_models_of_their_own_and_again_nothing(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    own = ("photos", "--model", TRELLIS, "--variants", "3", "--max-cost", "9")
    quoted = run("quote", *own)
    assert quoted.returncode == 0, quoted.stdout + quoted.stderr
    assert "2 pictures, 6 models of them" in quoted.stdout
    assert "6 would be bought" in quoted.stdout
    assert emulator.submissions() == []
    done = run("submit", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert models(tmp_path / "models") == [f"{name}-v{number}.glb" for name in "ab" for number in (1, 2, 3)]
    requests = emulator.submissions()
    assert len({one["input"]["seed"] for one in requests}) == len(requests) == 6
    again = run("submit", *own)
    assert (again.returncode, len(emulator.submissions())) == (0, 6)
    assert "6 done before" in again.stdout

    (tmp_path / "models" / "a-v2.glb").unlink()
    assert run("submit", *own).returncode == 0  # fetched again, not made again
    assert len(models(tmp_path / "models")) == 6
    assert len(emulator.submissions()) == 6
    job_id = json.loads(run("jobs", "--json").stdout)["jobs"][0]["job_id"]
    assert "b.png (variant 3, seed " in run("status", job_id).stdout


@pytest.mark.long
@pytest.mark.usefixtures("pair")
def test_variants_of_a_killed_run_are_not_bought_again(
    run: Run, tmp_path: Path, settings: dict[str, str], emulator: EmulatorProcess
) -> None:
    own = ("photos", "--model", TRELLIS, "--variants", "4", "--max-cost", "9")
    command = [sys.executable, "-m", "image2model", "submit", *own, "--json"]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert any(json.loads(line)["type"] == "outcome" for line in iter(first.stdout.readline, ""))
    first.kill()
    first.communicate(timeout=60)
    done = run("submit", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(models(tmp_path / "models")) == len(emulator.submissions()) == 8


@pytest.mark.long
@pytest.mark.usefixtures("pair")
def test_one_variant_whose_job_has_gone_is_not_made_with_the_others_again(
    run: Run, tmp_path: Path, settings: dict[str, str], emulator: EmulatorProcess
) -> None:
    own = ("photos/a.png", "--model", TRELLIS, "--variants", "2", "--max-cost", "9", "--json")
    lines = [json.loads(line) for line in run("submit", *own).stdout.splitlines()]
    job_id = next(line["job_id"] for line in lines if line["type"] == "outcome")
    with Client(settings["I2M_URL"]) as client:
        client.delete(job_id)
    (tmp_path / "models" / "a-v1.glb").unlink()
    for _ in range(2):
        done = run("submit", *own)
        assert done.returncode == 1
        assert '"failed":1' in done.stdout
        assert len(emulator.submissions()) == 2
    (tmp_path / "models" / "a-v2.glb").unlink()
    assert run("submit", *own).returncode == 0
    assert len(emulator.submissions()) == 4


@pytest.mark.long
@pytest.mark.usefixtures("pair")
def test_each_of_several_models_has_its_folder(run: Run, tmp_path: Path, emulator: EmulatorProcess) -> None:
    params = json.dumps({TRELLIS: {"mesh_simplify": 0.9}, TRIPO: {"texture": "no"}})
    both = ("--model", TRELLIS, "--model", TRIPO, "--params", params)
    own = ("photos", *both, "--variants", "2", "--max-cost", "9")
    quoted = json.loads(run("quote", *own, "--json").stdout)
    assert (quoted["buy"], quoted["model"]) == (8, f"{TRELLIS}, {TRIPO}")
    done = run("submit", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert models(tmp_path / "models") == [
        f"{folder}/{name}-v{number}.glb"
        for folder in ("fal-ai_trellis", "tripo3d_tripo_v2.5_image-to-3d")
        for name in "ab"
        for number in (1, 2)
    ]
    requests = emulator.submissions()
    assert len(requests) == 8
    assert {one["input"].get("mesh_simplify") for one in requests} == {0.9, None}
    assert run("submit", *own).returncode == 0
    assert len(emulator.submissions()) == 8


@pytest.mark.long
@pytest.mark.parametrize("accepted", [True, False])
def test_prepared_picture_waits_for_its_confirmation(
    accepted: bool, run: Run, tmp_path: Path, settings: dict[str, str], emulator: EmulatorProcess
) -> None:
    draw(tmp_path / "a.png", f"{accepted}")
    own = ("a.png", "--remove-background", "--crop", "--pad-square", "--confirm-prepared")
    command = [sys.executable, "-m", "image2model", "submit", *own, "--json"]
    first = subprocess.Popen(
        command, cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: _images(run, waiting_for="confirmation") != [], timeout=60)
    ((job_id, image),) = _images(run, waiting_for="confirmation")
    image_id = image["image_id"]
    assert len(emulator.submissions()) == 1
    assert f"waits for `image2model confirm {job_id} {image_id}`" in run("status", job_id).stdout
    saved = run("confirm", job_id, image_id, "--save", "look")
    assert saved.returncode == 0, saved.stderr
    assert Path(tmp_path / saved.stdout.strip()).stat().st_size > 0
    for _ in range(2):
        decided = run("confirm", job_id, image_id, *([] if accepted else ["--reject"]))
        assert decided.returncode == 0, decided.stderr
    said, _ = first.communicate(timeout=60)
    assert first.returncode == (0 if accepted else 1), said
    assert len(emulator.submissions()) == (2 if accepted else 1)
    assert models(tmp_path / "models") == (["a.glb"] if accepted else [])
    assert "a.png" in run("status", job_id).stdout


def test_second_step_is_a_job_of_its_own(run: Run, tmp_path: Path, emulator: EmulatorProcess) -> None:
    draw(tmp_path / "a.png", "first")
    lines = [json.loads(line) for line in run("submit", "a.png", "--json").stdout.splitlines()]
    first = next(line for line in lines if line["type"] == "outcome")
    params = json.dumps({"text_style_prompt": "oak"})
    parent = (first["job_id"], first["image_id"])
    done = run("derive", *parent, "--model", RETEXTURE, "--params", params, "--max-cost", "5", "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["images"][0]["parent_image_id"] == first["image_id"]
    wait_until(lambda: run("download", job["job_id"], "--out", "second").returncode == 0, timeout=60)
    assert models(tmp_path / "second") == ["a.glb"]
    assert len(emulator.submissions()) == 2
    wrong = run("derive", *parent, "--model", TRIPO)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("image2model: ")


@pytest.mark.long
def test_picture_that_will_hardly_do_is_told_before_it_is_bought(
    run: Run, tmp_path: Path, emulator: EmulatorProcess
) -> None:
    draw(tmp_path / "photos" / "good.png", "good", side=256)
    Image.new("RGB", (256, 256), "grey").save(tmp_path / "photos" / "grey.png")
    quoted = run("quote", "photos", "--json")
    assert quoted.returncode == 0, quoted.stderr
    images = {Path(one["path"]).name: one for one in json.loads(quoted.stdout)["images"]}
    assert [one["code"] for one in images["grey.png"]["warnings"]] == ["uniform"]
    assert "  photos/grey.png  uniform: " in run("quote", "photos").stdout
    assert run("submit", "photos").returncode == 0
    assert len(emulator.submissions()) == 2


def _images(run: Run, **wanted: str) -> list[tuple[str, dict[str, Any]]]:
    """The images of all jobs whose documents have these values, with their jobs."""
    found = []
    for head in json.loads(run("jobs", "--json").stdout)["jobs"]:
        job = json.loads(run("status", head["job_id"], "--json").stdout)
        found += [
            (job["job_id"], image)
            for image in job["images"]
            if all(image.get(name) == value for name, value in wanted.items())
        ]
    return found
