"""`--variants` and several `--model`: what is sent with which upload, and what is found of it again."""

import hashlib
from pathlib import Path

import pytest

from image2model.cli.submit.ledger import Ledger
from image2model.cli.submit.options import SharedOptions
from tests.cli.conftest import Cli, KilledSubmit, MakePicture
from tests.support.service import Service


def _models(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.glb"))


def test_batches_count_pictures_and_not_their_variants(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for number in range(26):
        picture(f"{number:02}.png")
    picture("copy.png", "00.png")
    done = cli("submit", photos, "--variants", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(map(len, service.uploads)) == [1, 25]
    assert [fields["variants"] for fields in service.fields] == ["2", "2"]
    assert len(_models(tmp_path / "models")) == 54
    assert "52 pictures: 52 models saved" in done.stdout
    assert cli("submit", photos).returncode == 0  # without variants it is another choice
    assert len(service.uploads) == 4


def test_service_that_takes_less_gets_smaller_batches_of_whole_pictures(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    for number in range(5):
        picture(f"{number}.png")
    service.max_files = 2
    assert cli("submit", photos, "--variants", "3").returncode == 0
    assert sorted(name for upload in service.uploads for name in upload) == [f"{n}.png" for n in range(5)]
    assert len(_models(tmp_path / "models")) == 15


def test_failed_variant_is_retried_only_when_asked(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png")
    picture("bad.png")
    service.failing = {"bad.png"}
    assert cli("submit", photos, "--variants", "2").returncode == 1
    assert _models(tmp_path / "models") == ["a-v1.glb", "a-v2.glb"]
    service.failing = set()
    assert cli("submit", photos, "--variants", "2", "--retry-failed").returncode == 0
    assert [len(ids or ()) for ids in service.retries] == [2]
    assert len(service.uploads) == 1
    assert len(_models(tmp_path / "models")) == 4


def test_each_model_gets_an_upload_with_its_own_parameters(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    picture("a.png")
    both = ("--model", "x/y", "--model", "z", "--params", '{"z": {"n": 1}}')
    done = cli("submit", photos, *both, "--max-cost", "1")
    assert done.returncode == 0, done.stderr
    sent = {fields["model"]: (fields.get("params"), fields["max_cost_usd"]) for fields in service.fields}
    assert sent == {"x/y": (None, "0.500000"), "z": ('{"n": 1}', "0.500000")}
    assert _models(tmp_path / "models") == ["x_y/a.glb", "z/a.glb"]
    assert cli("submit", photos, *both).returncode == 0
    assert len(service.uploads) == 2


@pytest.mark.parametrize("options", [("--variants", "3"), ("--model", "x", "--model", "y")])
def test_lost_answer_whose_picture_has_gone_is_found_in_the_list(
    options: tuple[str, ...],
    cli: Cli,
    picture: MakePicture,
    photos: Path,
    service: Service,
    killed_submit: KilledSubmit,
) -> None:
    picture("a.png")
    picture("b.png")
    killed_submit(photos, *options)
    sent = len(service.uploads)
    (photos / "b.png").unlink()
    assert cli("submit", photos, *options).returncode == 0
    repeated = [names for names in service.uploads[sent:] if names != ["a.png"]]
    assert repeated == []
    by_model = [fields.get("model") for fields in service.fields]
    assert len(service.jobs) == len({*by_model})


def test_job_of_the_same_picture_by_another_model_is_not_taken_for_a_lost_one(
    cli: Cli, picture: MakePicture, photos: Path, tmp_path: Path, service: Service
) -> None:
    path = picture("a.png")
    assert cli("submit", photos, "--model", "x", "--out", "other").returncode == 0
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "models" / ".image2model").mkdir(parents=True)
    with Ledger(tmp_path / "models" / ".image2model" / "ledger.db") as ledger:
        options = SharedOptions.of(service.url, "y", None, None)
        ledger.begin("key", options, [(digest, "a.png"), ("of a picture that has gone", "b.png")])
    done = cli("submit", photos, "--model", "y")
    assert done.returncode == 0, done.stdout
    assert [fields["model"] for fields in service.fields] == ["x", "y"]
