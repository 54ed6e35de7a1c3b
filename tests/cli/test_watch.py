"""`image2model watch` against the real service: what appears becomes a model, once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import run_command
from tests.support.emulator_process import EmulatorProcess
from tests.support.fleet import Fleet
from tests.support.served_api import MakeService, batch
from tests.support.sketches import picture
from tests.support.wait import until


@contextmanager
def watching(url: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "image2model", "watch", "in", "--url", url],
        cwd=folder, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 130, said


async def made(folder: Path, *names: str) -> None:
    async def there() -> bool:
        return {path.name for path in (folder / "models").rglob("*.glb")} == set(names)

    await until(there, timeout=30)


def bought(emulator: EmulatorProcess) -> int:
    return len(emulator.submissions())


@pytest.mark.long
async def test_pictures_that_appear_become_models_and_a_restart_sends_nothing(
    fleet: Fleet, make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(redis_url=fleet.redis_url)
    fleet.start_worker()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "early.png").write_bytes(picture(seed=1))
    url = f"http://{service.address.host}:{service.address.port}"
    late = picture(seed=2, size=(300, 300))
    with watching(url, tmp_path):
        await made(tmp_path, "early.glb")
        with (tmp_path / "in" / "late.png").open("wb", buffering=0) as slow:
            slow.write(late[: len(late) // 2])
            (tmp_path / "in" / "notes.txt").write_text("no picture")
            (tmp_path / "in" / "other.png").write_bytes(picture(seed=3))
            await made(tmp_path, "early.glb", "other.glb")
            slow.write(late[len(late) // 2 :])
        (tmp_path / "moved").mkdir()
        (tmp_path / "moved" / "deep.png").write_bytes(picture(seed=4))
        (tmp_path / "moved").rename(tmp_path / "in" / "moved")
        (tmp_path / "in" / "twin.png").write_bytes(picture(seed=1))
        await made(tmp_path, "early.glb", "other.glb", "late.glb", "deep.glb", "twin.glb")
    assert bought(fleet.emulator) == 4
    assert len(service.get("jobs").items("jobs")) <= 4
    before = service.get("jobs").content
    with watching(url, tmp_path):
        (tmp_path / "in" / "new.png").write_bytes(picture(seed=5))
        await made(tmp_path, "early.glb", "other.glb", "late.glb", "deep.glb", "twin.glb", "new.glb")
    assert bought(fleet.emulator) == 5
    assert len(service.get("jobs").content) > len(before)


@pytest.mark.long
async def test_name_that_is_not_utf8_does_not_end_the_watch(
    fleet: Fleet, make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(redis_url=fleet.redis_url)
    fleet.start_worker()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "early.png").write_bytes(picture(seed=1))
    with watching(f"http://{service.address.host}:{service.address.port}", tmp_path):
        await made(tmp_path, "early.glb")
        (tmp_path / "in" / os.fsdecode("b\u00fcro.png".encode("latin-1"))).write_bytes(picture(seed=2))
        await made(tmp_path, "early.glb", "b\ufffdro.glb")
        (tmp_path / "in" / "later.png").write_bytes(picture(seed=3))
        await made(tmp_path, "early.glb", "b\ufffdro.glb", "later.glb")
    assert bought(fleet.emulator) == 3


async def test_jobs_command_lists_them(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    job_id = service.upload(batch(2)).text("job_id")
    done = run_command("jobs", "--status", "queued", "--url", service.address.url, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{job_id}  queued")
    assert "0/2" in done.stdout


async def test_worker_makes_thumbnails_of_large_pictures_before_anybody_looks(fleet: Fleet) -> None:
    fleet.start_worker()
    job_id = await fleet.submit(1, pictures=[picture(6800, (1200, 1000))])

    async def there() -> bool:
        return any([found.key.startswith(f"thumbnails/{job_id}/") async for found in fleet.storage.list()])

    await until(there)
