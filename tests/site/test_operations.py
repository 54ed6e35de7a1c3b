"""The pages of operations: their commands are run in the situation that they are for. Their proofs exist."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from image2model.client import Client
from tests.site.pages import DOCS, OPERATIONS, ROOT, blocks, blocks_by_heading
from tests.support import command
from tests.support.emulator_process import KEY, emulator_process
from tests.support.fleet import at_fal, fleet_on
from tests.support.ports import free_port, free_ports
from tests.support.replication import replicated
from tests.support.sketches import picture
from tests.support.up_process import Up
from tests.support.wait import wait_until

PROOF = re.compile(r"`(tests/[^`]+\.py)::(\w+)`")
PATIENCE_S = 90.0


def test_proofs_exist() -> None:
    named = [one for page in OPERATIONS for one in PROOF.findall(page.read_text(encoding="utf-8"))]
    assert len(named) > 20
    assert not [one for one in named if f"def {one[1]}(" not in (ROOT / one[0]).read_text(encoding="utf-8")]


def commands(page: str, heading: str) -> list[str]:
    """The blocks of commands below a heading, without those that say why they are not run."""
    found = blocks_by_heading(DOCS / "operations" / page)[heading]
    return [one.text for one in found if one.language == "sh" and not one.skipped]


def shell(script: str, folder: Path, **environment: str) -> str:
    """What a script printed, run as a person would."""
    done = _run(script, folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shell_that_finds_faults(script: str, folder: Path, **environment: str) -> str:
    """The same, if its last command ends with 1."""
    done = _run(script, folder, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def _run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -eu\n{script}"],
        cwd=folder,
        env=command.environment(PATH=path, I2M_API_KEY="none-needed", **environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


class Running:
    """`up`, and a client of it."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.environment = {"I2M_URL": up.ready().url, "I2M_DATA_DIR": str(up.data_dir)}

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.up.url}/api/v1/{path}", timeout=20).json()

    def submit(self, folder: Path, count: int = 1) -> str:
        """So many pictures of their own as a job; its id."""
        paths = [folder / f"{number}.jpg" for number in range(count)]
        for path in paths:
            path.write_bytes(picture(fmt="JPEG", seed=int.from_bytes(os.urandom(4))))
        with Client(self.up.url) as client:
            return client.submit(paths).job_id

    def until(self, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job's status, once it is so."""
        wait_until(lambda: is_so(self.get(f"status/{job_id}")), timeout=PATIENCE_S)
        return dict(self.get(f"status/{job_id}"))


def is_finished(job: dict[str, Any]) -> bool:
    return str(job["status"]) in {"succeeded", "failed", "partially_succeeded", "cancelled"}


@contextmanager
def running(folder: Path, *flags: str, name: str = "data", **settings: str) -> Iterator[Running]:
    """`up` on a folder of its own."""
    (folder / name).mkdir(exist_ok=True)
    up = Up(folder / name / "data", "--port", "0", *flags, I2M_LOG_LEVEL="warning", **settings)
    try:
        yield Running(up)
    finally:
        up.end()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_backup_is_restored_as_the_page_says(tmp_path: Path) -> None:
    (make,) = commands("backup.md", "Make a backup")
    restore, look = commands("backup.md", "Restore it")
    with running(tmp_path) as service:
        job_id = service.submit(tmp_path, 2)
        service.until(job_id, is_finished)
        shell(make, tmp_path, **service.environment)
    elsewhere = str(tmp_path / "restored" / "data")
    with running(tmp_path, name="restored") as service:
        shell(restore.replace("/srv/restored", elsewhere), tmp_path, **service.environment)
    with running(tmp_path, name="restored") as service:
        said = shell(look.replace("/srv/restored", elsewhere), tmp_path, **service.environment)
        assert job_id in said
        assert service.get(f"status/{job_id}")["status"] == "succeeded"


@pytest.mark.long
def test_upgrade_is_looked_at_as_the_page_says(tmp_path: Path) -> None:
    before, after = *commands("upgrade.md", "Before"), *commands("upgrade.md", "Upgrade")
    with running(tmp_path) as service:
        shell(before, tmp_path, **service.environment)
        assert (tmp_path / "before-upgrade.tar").stat().st_size > 0
        assert "the newest" in shell(after, tmp_path, **service.environment)


async def answers(http: httpx.AsyncClient) -> bool:
    """Whether the service has a store."""
    ready = (await http.get("/api/v1/health/ready")).json()
    return bool(ready["checks"]["redis"]["ok"])


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_failover_is_looked_at_as_the_page_says(tmp_path: Path) -> None:
    (look,) = commands("failover.md", "When it happens")
    one, other, sentinel = free_ports(3)
    with replicated(tmp_path, (one, other, sentinel)) as pair:
        pair.start()
        async with fleet_on(pair.url, tmp_path) as fleet:
            fleet.start_worker()
            port = free_port()
            await fleet.start_api(port)
            address = f"http://127.0.0.1:{port}"
            pair.kill_primary()
            async with httpx.AsyncClient(base_url=address, timeout=20) as http:
                async with asyncio.timeout(PATIENCE_S):
                    while pair.primary() != other:
                        await asyncio.sleep(0.1)
                    while not await answers(http):
                        await asyncio.sleep(0.2)
            settings = {
                "I2M_REDIS_URL": pair.url,
                "I2M_STORAGE_URL": (tmp_path / "files").as_uri(),
                "I2M_FAL_BASE_URL": fleet.emulator.url,
                "FAL_KEY": KEY,
            }
            said = await asyncio.to_thread(shell, look, tmp_path, I2M_URL=address, **settings)
    assert '"redis":{"ok":true' in said


@pytest.mark.long
@pytest.mark.timeout(300)
def test_fal_is_down_and_comes_back(tmp_path: Path) -> None:
    look, explain = commands("incidents.md", "FAL is down")
    port = free_port()
    fal = {"FAL_KEY": KEY, "I2M_FAL_BASE_URL": f"http://127.0.0.1:{port}"}
    with ExitStack() as stack:
        with emulator_process("--port", str(port)):
            service = stack.enter_context(running(tmp_path, **fal))
        job_id = service.submit(tmp_path, 8)
        service.until(job_id, lambda job: bool(job["waiting_for"] == "fal"))
        seen = json.loads(shell(look, tmp_path, **service.environment))
        assert seen["status"] == "degraded"
        assert seen["checks"]["fal_api"]["ok"] is False
        said = shell_that_finds_faults(explain, tmp_path, **service.environment, **fal)
        assert f"127.0.0.1:{port}" in said
        with emulator_process("--port", str(port)) as emulator:
            assert service.until(job_id, is_finished)["counts"]["succeeded"] == 8
            assert len(emulator.submissions()) == 8


@pytest.mark.long
@pytest.mark.timeout(300)
def test_account_is_empty_and_filled_again(tmp_path: Path) -> None:
    look, pause = commands("incidents.md", "The account is empty")
    with emulator_process() as emulator:
        fal = {"FAL_KEY": KEY, "I2M_FAL_BASE_URL": emulator.url}
        with running(tmp_path, **fal) as service:
            emulator.fault("locked", rate=1)
            job_id = service.submit(tmp_path, 6)
            service.until(job_id, lambda job: bool(job["waiting_for"] == "account"))
            said = shell(look, tmp_path, **service.environment, **fal)
            assert "FAL refuses the account" in said
            assert "model_generation is paused (account), 6 wait" in said
            shell(pause, tmp_path, **service.environment)
            emulator.http.delete("/_emulator/faults").raise_for_status()
            assert service.until(job_id, is_finished)["status"] == "succeeded"
            assert len(emulator.submissions()) == 6


@pytest.mark.long
@pytest.mark.timeout(300)
def test_worker_is_stuck_and_another_goes_on(tmp_path: Path) -> None:
    (look,) = commands("incidents.md", "A worker is stuck")
    with running(tmp_path, "--workers", "2", "--latency", "3s", I2M_LEASE_SECONDS="3") as service:
        wait_until(lambda: len(service.get("admin/workers")["workers"]) == 2, timeout=PATIENCE_S)
        listed = json.loads(shell(look, tmp_path, **service.environment))["workers"]
        assert {"host", "pid"} <= set(listed[0])
        job_id = service.submit(tmp_path, 10)
        service.until(job_id, lambda job: bool(job["counts"]["generating"] == 10))
        stuck = listed[0]["pid"]
        os.kill(stuck, signal.SIGSTOP)
        assert service.until(job_id, is_finished)["counts"]["succeeded"] == 10
        wait_until(lambda: len(_workers(look, tmp_path, service)) == 1, timeout=PATIENCE_S)
        os.kill(stuck, signal.SIGKILL)
        wait_until(lambda: len(_workers(look, tmp_path, service)) == 2, timeout=PATIENCE_S)


def _workers(look: str, folder: Path, service: Running) -> list[dict[str, Any]]:
    return list(json.loads(shell(look, folder, **service.environment))["workers"])


@pytest.mark.long
def test_space_is_made_as_the_page_says(tmp_path: Path) -> None:
    look, delete = commands("incidents.md", "The disk is full")
    with running(tmp_path) as service:
        job_id = service.submit(tmp_path)
        service.until(job_id, is_finished)
        assert "disk_space" in json.loads(shell(look, tmp_path, **service.environment))["checks"]
        assert job_id in shell(delete, tmp_path, **service.environment)
        assert service.get("jobs")["jobs"] == []


@pytest.mark.long
def test_api_key_is_replaced_as_the_page_says(tmp_path: Path) -> None:
    (replace,) = commands("secrets.md", "A client's API key")
    with running(tmp_path, I2M_AUTH="keys", I2M_ADMIN_KEY="the-first-admin-key-of-all") as service:
        shell("image2model keys create --name shop --owner shop", tmp_path, **service.environment)
        said = shell(replace, tmp_path, **service.environment)
        assert "shop-2" in shell("image2model keys list", tmp_path, **service.environment)
        (old,) = re.findall(r"^\w+ +(i2m_\S+) +shop ", said, re.MULTILINE)
        shell(f"image2model keys revoke {old}", tmp_path, **service.environment)


@pytest.mark.long
async def test_job_goes_on_under_another_key_of_the_account(redis_url: str, tmp_path: Path) -> None:
    async with fleet_on(redis_url, tmp_path) as fleet:
        fleet.emulator.settings(latency=2)
        first = fleet.start_worker(FAL_KEY="account:old")
        job_id = await fleet.submit(3)
        await fleet.until(job_id, lambda job: at_fal(job) == 3)
        first.send(signal.SIGTERM)
        fleet.start_worker(FAL_KEY="account:new")
        job = await fleet.until_finished(job_id)
        assert job.counts.succeeded == 3
        assert len(fleet.submissions_of(job)) == 3


@pytest.mark.long
@pytest.mark.timeout(300)
def test_nothing_is_at_fal_before_the_account_is_changed(tmp_path: Path) -> None:
    (change,) = commands("secrets.md", "FAL_KEY")
    pause, wait, resume = change.splitlines()
    with running(tmp_path, "--latency", "3s", I2M_MAX_CONCURRENT="2") as service:
        job_id = service.submit(tmp_path, 5)
        service.until(job_id, lambda job: bool(job["counts"]["generating"] == 2))
        shell(f"{pause}\n{wait}", tmp_path, **service.environment)
        counts = service.get(f"status/{job_id}")["counts"]
        assert (counts["generating"], counts["failed"]) == (0, 0)
        assert counts["queued"] >= 1, "what was not at FAL waits"
        shell(resume, tmp_path, **service.environment)
        assert service.until(job_id, is_finished)["counts"]["succeeded"] == 5


def test_every_block_is_run_or_says_why_not() -> None:
    """A page of operations has a test above for each of its headings with commands."""
    source = Path(__file__).read_text(encoding="utf-8")
    for page in OPERATIONS:
        for heading, found in blocks_by_heading(page).items():
            if any(one.language == "sh" and not one.skipped for one in found):
                assert f'commands("{page.name}", "{heading}")' in source, f"{page.name}: {heading}"
    assert all(one.language in {"sh", "yaml", "redis", "text"} for page in OPERATIONS for one in blocks(page))
