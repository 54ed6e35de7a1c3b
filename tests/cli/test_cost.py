"""The cost that `submit` tells: what this run has bought, and apart from it what earlier runs have."""

import json
from pathlib import Path

from tests.cli.conftest import Cli, MakePicture
from tests.support.service import Service


def test_cost_is_what_this_run_bought(cli: Cli, picture: MakePicture, tmp_path: Path) -> None:
    path = picture("b.png")
    assert "cost 0.30 USD;" in cli("submit", path).stdout
    (tmp_path / "models" / "b.glb").unlink()
    (tmp_path / "models" / "b.glb").mkdir()  # in the way: nothing is bought, and nothing can be saved
    done = cli("submit", path)
    assert "1 failed; cost 0.00 USD, and 0.30 USD in earlier runs;" in done.stdout
    assert "(cost 0.00 USD, and 0.30 USD in earlier runs)" in done.stdout
    assert json.loads(cli("submit", path, "--json").stdout.splitlines()[-1])["cost_usd"] == 0.0


def test_another_attempt_and_a_picture_sent_anew_are_bought_by_the_run_that_asked(
    cli: Cli, picture: MakePicture, tmp_path: Path, service: Service
) -> None:
    path = picture("b.png")
    service.failing = {"b.png"}
    assert "cost 0.00 USD;" in cli("submit", path).stdout
    service.failing = set()
    assert "cost 0.30 USD;" in cli("submit", path, "--retry-failed").stdout
    (tmp_path / "models" / "b.glb").unlink()
    assert "cost 0.00 USD, and 0.30 USD in earlier runs" in cli("submit", path).stdout
    (tmp_path / "models" / "b.glb").unlink()
    service.forget()
    assert "cost 0.30 USD;" in cli("submit", path).stdout


def test_warnings_and_uncertain_costs_are_told(cli: Cli, picture: MakePicture, service: Service) -> None:
    path = picture("b.png")
    picture("c.png")
    service.warned = {"b.png"}
    said = cli("submit", path.parent)
    assert said.returncode == 0
    (ended,) = [line for line in said.stdout.splitlines() if line.startswith("saved") and "b.glb" in line]
    assert "$0.30 (estimated)  1 warning" in ended
    assert "cost 0.60 USD, part of it estimated;" in said.stdout
    assert "b.png  file_missing: FAL no longer has the preview." in said.stdout
    (job_id,) = service.jobs
    status = cli("status", job_id)
    assert "warning     b.png  file_missing: FAL no longer has the preview." in status.stdout
    assert "cost" in status.stdout
    assert ", part of it estimated" in status.stdout
    document = json.loads(cli("status", job_id, "--json").stdout)
    told = {image["filename"]: image["cost_uncertain"] for image in document["images"]}
    assert told == {"b.png": True, "c.png": False}
