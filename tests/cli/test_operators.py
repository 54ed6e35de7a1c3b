"""`dead list`, `dead replay` and `doctor` against a served application on a real store."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image2model import settings
from image2model.api.app import create_app
from image2model.store.connection import connect
from image2model.up.store import EmbeddedStore
from tests.support.command import Done, run_command
from tests.support.served_api import Service, batch
from tests.support.servers import serving
from tests.support.store_conditions import COMMANDS, WORDS, in_condition
from tests.support.worker_steps import claim, fail

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def service(valkey: EmbeddedStore, tmp_path: Path) -> Iterator[Service]:
    files = tmp_path / "files"
    given = {"redis_url": valkey.url, "storage_url": files.as_uri(), "auth": "none"}
    with serving(create_app(settings.load({}, **given)), lifespan="on") as address:
        yield Service(address, files)


@pytest.fixture
def run(service: Service, valkey: EmbeddedStore, tmp_path: Path) -> Run:
    given = {"I2M_REDIS_URL": valkey.url, "I2M_STORAGE_URL": service.files.as_uri()}

    def command(*arguments: object, **more: str) -> Done:
        settings = {**given, "I2M_URL": service.address.url, **more}
        return run_command(*arguments, folder=tmp_path, **settings)

    return command


async def dead_images(service: Service, redis_url: str, count: int) -> list[str]:
    """So many images that have failed."""
    assert service.upload(batch(count, no_cache="true")).status == 202
    async with connect(redis_url) as redis:
        held = await claim(redis, count)
        for one in held:
            await fail(redis, one)
    return [one.task_id for one in held]


@pytest.mark.also_on_cluster
async def test_dead_images_are_listed_and_replayed(service: Service, valkey: EmbeddedStore, run: Run) -> None:
    first, second, third = await dead_images(service, valkey.url, 3)
    listed = run("dead", "list")
    assert listed.returncode == 0, listed.stderr
    assert "generation_failed: FAL gave up." in listed.stdout
    assert all(image in listed.stdout for image in (first, second, third))
    everything = json.loads(run("dead", "list", "--json").stdout)
    document = json.loads(run("dead", "list", "--limit", "1", "--json").stdout)
    assert document["images"] == everything["images"][:1]
    assert [step["status"] for step in document["images"][0]["history"]] == ["queued", "preparing", "failed"]
    assert run("dead", "list", "--code", "image_unreadable").stdout == ""
    assert run("dead", "replay", first).stdout.startswith("1 run again")
    assert json.loads(run("dead", "replay", "--all", "--json").stdout)["replayed"] == 2
    assert run("dead", "list").stdout == ""
    again = run("dead", "replay", first)
    assert again.returncode == 1
    assert "has not failed" in again.stderr


def test_replay_wants_images_or_a_filter_and_never_both(run: Run) -> None:
    for arguments in ((), ("0" * 32, "--all"), ("0" * 32, "--code", "x")):
        assert run("dead", "replay", *arguments).returncode == 2


@pytest.mark.also_on_cluster
def test_doctor_shows_the_secret_that_signs_webhooks(run: Run) -> None:
    def signed(**more: str) -> str:
        findings = json.loads(run("doctor", "--json", **more).stdout)
        return next(str(one["detail"]) for one in findings if one["part"] == "webhooks")

    made = signed()
    assert made.startswith("signed with whsec_")
    assert signed() == made
    given = "whsec_" + "A" * 32
    assert signed(I2M_WEBHOOK_SECRET=given) == f"signed with {given}"


@pytest.mark.parametrize("condition", COMMANDS)
def test_doctor_says_why_the_store_takes_no_writes(
    run: Run, own_store: EmbeddedStore, condition: str
) -> None:
    with in_condition(own_store, condition):
        findings = json.loads(run("doctor", "--json", I2M_REDIS_URL=own_store.url).stdout)
    broken = [one for one in findings if one["part"] == "redis" and one["state"] == "broken"]
    assert [WORDS[condition] in one["detail"] for one in broken] == [True]
    assert broken[0]["advice"]
