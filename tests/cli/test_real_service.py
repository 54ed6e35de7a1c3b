"""The client commands against the real service: `up` with the emulator, in processes of their own."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.command import Done, run_command
from tests.support.up_process import Up

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SIZES = {"png": (256, 256), "jpg": (300, 200), "webp": (64, 64)}


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Of a shell in which the service's URL is set, while the service runs."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        data_dir = Path(folder) / "data"
        up = Up(data_dir, "--port", "0", "--latency", "300ms")
        try:
            yield {"I2M_DATA_DIR": str(data_dir), "I2M_URL": up.ready().url}
        finally:
            up.end()


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def command(*arguments: object) -> Done:
        return run_command(*arguments, folder=tmp_path, **environment)

    return command


def _picture(path: Path, seed: int) -> Path:
    width, height = SIZES[path.suffix[1:]]
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((width, height)).save(path)
    return path


@pytest.mark.long
def test_pictures_become_models_and_a_second_run_sends_nothing(run: Run, tmp_path: Path) -> None:
    for number in range(28):
        suffix = list(SIZES)[number % 3]
        _picture(tmp_path / "photos" / f"set {number % 2}" / f"{number}.{suffix}", number)
    first = run("submit", "photos")
    assert first.returncode == 0, first.stdout + first.stderr
    models = sorted((tmp_path / "models").rglob("*.glb"))
    assert len(models) == 28
    assert len({model.read_bytes() for model in models}) == 28
    assert all(model.read_bytes().startswith(b"glTF") for model in models)
    assert (tmp_path / "models" / "set 0" / "0.glb").is_file()
    again = run("submit", "photos")
    assert again.returncode == 0
    assert "28 done before" in again.stdout


@pytest.mark.long
def test_bad_picture_among_good_ones_is_named(run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "photos" / "good.png", 1)
    whole = _picture(tmp_path / "whole.png", 2).read_bytes()
    (tmp_path / "photos" / "cut.png").write_bytes(whole[: len(whole) // 2])
    done = run("submit", "photos")
    assert done.returncode == 1
    assert "cut.png  image_truncated" in done.stdout
    assert [model.name for model in (tmp_path / "models").glob("*.glb")] == ["good.glb"]


@pytest.mark.long
def test_verbs_of_a_job(run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", 1)
    lines = [json.loads(line) for line in run("submit", "a.png", "--json").stdout.splitlines()]
    (outcome,) = [line for line in lines if line["type"] == "outcome"]
    job_id = outcome["job_id"]
    status = run("status", job_id, "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout)["counts"]["succeeded"] == 1
    assert re.search(r"succeeded +a\.png", run("status", job_id).stdout)
    downloaded = run("download", job_id, "--out", "again")
    assert downloaded.returncode == 0
    assert (tmp_path / "again" / "a.glb").read_bytes() == (tmp_path / "models" / "a.glb").read_bytes()
    assert run("cancel", job_id).returncode == 1
    unknown = run("status", "nothing")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("image2model: ")


@pytest.mark.long
def test_doctor_finds_the_running_service_healthy(run: Run) -> None:
    done = run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, findings
    assert {one["part"] for one in findings} == {
        "settings",
        "redis",
        "workers",
        "storage",
        "fal",
        "webhooks",
        "models",
        "privacy",
        "upgrade",
    }
    assert not [one for one in findings if one["state"] == "broken"]


@pytest.mark.long
def test_contact_sheet_shows_pictures_models_and_errors(run: Run, tmp_path: Path) -> None:
    for number in range(3):
        _picture(tmp_path / "photos" / f"<b>{number}&.png", number)
    lines = [json.loads(line) for line in run("submit", "photos", "--json").stdout.splitlines()]
    job_id = next(line["job_id"] for line in lines if line["type"] == "outcome")
    done = run("report", job_id, "--out", "sheets/report.html")
    assert done.returncode == 0, done.stderr
    assert "3 pictures, 3 models" in done.stdout
    text = (tmp_path / "sheets" / "report.html").read_text()
    assert text.count("data:image/webp;base64,") == 6  # each picture, and each model's preview
    assert "&lt;b&gt;0&amp;.png" in text
    assert "triangles" in text
    assert "$0.90" in text
    assert "http" not in re.sub(r"<style>.*?</style>|http-equiv", "", text, flags=re.DOTALL)


@pytest.mark.long
def test_quote_is_what_submit_then_costs_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    for number in range(3):
        _picture(tmp_path / "photos" / f"{number}.png", number)
    whole = _picture(tmp_path / "whole.png", 9).read_bytes()
    (tmp_path / "photos" / "cut.png").write_bytes(whole[: len(whole) // 2])
    quoted = run("quote", "photos")
    assert quoted.returncode == 1, quoted.stderr
    assert "3 would be bought at 0.30 USD each: 0.90 USD" in quoted.stdout
    assert "photos/cut.png  image_truncated" in quoted.stdout
    assert json.loads(run("jobs", "--json").stdout)["jobs"] == []
    assert not (tmp_path / "models").exists()
    assert "cost 0.90 USD" in run("submit", "photos").stdout
    again = json.loads(run("quote", "photos", "--out", "elsewhere", "--json").stdout)
    assert (again["cached"], again["total_cost_usd"]) == (3, 0.0)
    assert (again["model"], again["refused"]) == ("tripo3d/tripo/v2.5/image-to-3d", 1)
    later = json.loads(run("quote", "photos", "--json").stdout)
    assert (later["saved"], later["sent"], later["refused"]) == (3, 0, 1)


@pytest.mark.long
def test_own_data_goes_with_the_pictures_and_finds_their_job(run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "photos" / "chairs" / "a.png", 1)
    _picture(tmp_path / "photos" / "b.png", 2)
    manifest = {"files": [{"file": "chairs/a.png", "metadata": {"sku": "A-1", "legs": 4}}]}
    (tmp_path / "photos" / "m.json").write_text(json.dumps(manifest))
    own = ("--metadata", "shop=Köln=1", "--metadata", "order=1001", "--manifest", "photos/m.json")
    assert run("quote", "photos", *own).returncode == 0
    done = run("submit", "photos", *own)
    assert done.returncode == 0, done.stdout + done.stderr
    other = run("submit", "photos", "--out", "other", "--face-limit", "500")
    assert other.returncode == 0, other.stdout + other.stderr

    (job,) = json.loads(run("jobs", "--metadata", "sku=A-1", "--metadata", "order=1001", "--json").stdout)[
        "jobs"
    ]
    assert job["metadata"] == {"shop": "Köln=1", "order": "1001"}
    images = json.loads(run("status", job["job_id"], "--json").stdout)["images"]
    assert {image["filename"]: image["metadata"] for image in images} == {
        "a.png": {"sku": "A-1", "legs": 4},
        "b.png": {},
    }
    assert json.loads(run("jobs", "--metadata", "sku=A-2", "--json").stdout)["jobs"] == []
    assert run("report", job["job_id"], "--out", "r.html").returncode == 0
    sheet = (tmp_path / "r.html").read_text()
    assert "<dt>shop</dt><dd>Köln=1</dd>" in sheet
    assert "<dt>sku</dt><dd>A-1</dd>" in sheet
