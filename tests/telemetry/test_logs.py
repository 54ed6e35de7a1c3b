"""No secret in a log: real processes, every kind of request, every key that was used.

Each process that any test starts is looked at like this (`tests/support/secrecy.py`); here the look itself
is tested, by processes and a test that leak.
"""

import os
import re
import secrets
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.access import keys
from image2model.jobs.files import sign
from image2model.up.store import EmbeddedStore
from tests.support.api_process import RUN, api_process
from tests.support.callers import ADMIN, SAME, Caller, cookie, keyed_settings, sign_in
from tests.support.emulator_process import KEY, emulator_process
from tests.support.fleet import fleet_on
from tests.support.ports import free_port
from tests.support.secrecy import SecretLeaked, check_text
from tests.support.served_api import Service, batch
from tests.support.servers import Address
from tests.support.up_process import Up
from tests.support.wait import until
from tests.support.webhook_receiver import answering, receiving

METRICS = "the-token-of-the-metrics"
FAL = "fal-key-id:fal-key-secret-text"


@pytest.mark.long
@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_log_line_holds_a_key_a_cookie_or_a_file_token(
    valkey: EmbeddedStore, redis: Redis, tmp_path: Path, form: str
) -> None:
    made = await keys.create(redis, keys.KeyRequest(name="ann", rate="3/min"))
    log = tmp_path / "api.log"
    settings = {
        **keyed_settings(valkey.url, tmp_path),
        "I2M_METRICS_TOKEN": METRICS,
        "FAL_KEY": FAL,
        "I2M_LOG_FORMAT": form,
        "I2M_LOG_LEVEL": "debug",
    }
    with api_process(log, **settings) as port:
        used = _use(Service(Address("127.0.0.1", port), tmp_path / "files"), made.key)
    text = log.read_text()
    assert "/api/v1/session" in text
    for secret in (made.key, ADMIN, METRICS, FAL, FAL.split(":")[1], *used):
        assert secret not in text


def _use(service: Service, key: str) -> list[str]:
    """Good requests and bad ones; returns the other secrets that came up."""
    ann, admin, stranger = Caller(service, key), Caller(service, ADMIN), Caller(service, "i2m_" + "guess" * 9)
    job = ann.upload(batch(), idempotency_key="an-idempotency-key")
    image_id = job.items("images")[0]["image_id"]
    link = ann.get(f"download/{job.text('job_id')}/{image_id}?file=original").headers["location"]
    assert service.get(link).status == 200
    jar = cookie(sign_in(service, key))
    service.send("DELETE", "/api/v1/session", None, {**jar, **SAME})
    sign_in(service, stranger.key)
    stranger.get("session")
    service.get(f"status/{job.text('job_id')}?key={key}")
    service.send("POST", "/api/v1/session", msgspec.json.encode({"key": [key]}), {})
    new = admin.post("admin/keys", msgspec.json.encode({"name": "bob"})).text("key")
    service.get("/metrics", authorization=f"Bearer {METRICS}")
    for _ in range(4):
        ann.upload(batch())
    return [link.rpartition("/")[2], jar["Cookie"].partition("=")[2], stranger.key, new]


async def test_no_log_line_of_any_process_holds_metadata(redis_url: str, tmp_path: Path) -> None:
    own = "the-callers-own-data-0815"
    async with fleet_on(redis_url, tmp_path) as fleet, receiving(answering("200 OK")) as receiver:
        settings = {"I2M_WEBHOOK_ALLOW_PRIVATE": "1"}
        port = free_port("127.0.0.1")
        api, worker = (
            await fleet.start_api(port, I2M_LOG_LEVEL="debug", **settings),
            fleet.start_worker(**settings),
        )
        service = Service(Address("127.0.0.1", port), tmp_path / "files")
        manifest = msgspec.json.encode({"files": [{"part": 0, "metadata": {"sku": own}}]}).decode()
        metadata = f'{{"{own}": "{own}"}}'
        job = service.upload(batch(metadata=metadata, manifest=manifest, webhook_url=receiver.url))
        await fleet.until_finished(job.text("job_id"))

        async def told() -> bool:
            return any(own.encode() in one.body for one in receiver.requests)

        await until(told)
        for bad in (f"{own}", f'{{"{own}": {{}}}}', f'{{"a": "{own * 400}"}}'):
            assert service.upload(batch(metadata=bad)).status == 422
        assert len(service.get(f"jobs?metadata.sku={own}").items("jobs")) == 1
        assert service.get(f"jobs?metadata.{own}%20={own}").status == 422
        logs = [process.log.read_text() for process in (api, worker)]
    assert all("upload" in log or "worker_ready" in log for log in logs)
    assert not any(own in log for log in logs)


TELLS_ITS_SETTINGS = "import os, sys; print('starting with', os.environ['I2M_ADMIN_KEY'], file=sys.stderr); "
TELLS_WHAT_IT_GETS = """
import sys
from image2model.access import gates, principal
honest = principal.credential_of
def leaky(scope):
    print(dict(scope["headers"]), file=sys.stderr)
    return honest(scope)
gates.credential_of = leaky
"""


def settings_of(valkey: EmbeddedStore, folder: Path) -> dict[str, str]:
    files = (folder / "files").as_uri()
    return {
        "I2M_REDIS_URL": valkey.url,
        "I2M_STORAGE_URL": files,
        "I2M_AUTH": "keys",
        "I2M_ADMIN_KEY": ADMIN,
        "I2M_LOG_FORMAT": "json",
    }


def test_a_process_that_logs_its_settings_fails_its_test(valkey: EmbeddedStore, tmp_path: Path) -> None:
    settings = settings_of(valkey, tmp_path)
    log = tmp_path / "api.log"
    with (
        pytest.raises(SecretLeaked, match=r"api\.log: starting with \[SECRET\]"),
        api_process(log, TELLS_ITS_SETTINGS + RUN, **settings),
    ):
        pass


@pytest.mark.parametrize(
    "presented",
    [
        {"Authorization": f"Bearer {ADMIN}"},
        {"Authorization": "Bearer nobody-knows-this-one"},
        {"Cookie": "theme=dark; i2m_session=nobody-signed-in-by-this"},
    ],
)
def test_a_process_that_logs_what_it_is_sent_fails_its_test(
    valkey: EmbeddedStore, tmp_path: Path, presented: dict[str, str]
) -> None:
    settings = settings_of(valkey, tmp_path)
    with (
        pytest.raises(SecretLeaked, match="SECRET") as told,
        api_process(tmp_path / "api.log", TELLS_WHAT_IT_GETS + RUN, **settings) as port,
    ):
        Service(Address("127.0.0.1", port), tmp_path).send("GET", "/api/v1/session", None, presented)
    assert not any(value in str(told.value) for value in presented.values())


async def test_logs_of_workers_the_emulator_and_up_are_looked_into(redis_url: str, tmp_path: Path) -> None:
    async def leaking_worker() -> None:
        async with fleet_on(redis_url, tmp_path) as fleet:
            worker = fleet.start_worker(I2M_METRICS_TOKEN=METRICS)
            worker.log.write_text(f"the token is {METRICS}")

    with pytest.raises(SecretLeaked, match="worker-0"):
        await leaking_worker()
    told_by_its_usage = f"--{KEY}"
    with pytest.raises(SecretLeaked, match="emulator"), emulator_process(told_by_its_usage):
        pass
    up = Up(tmp_path / "data", "--no-such-flag", I2M_ADMIN_KEY=ADMIN)
    with up.log.open("a") as log:
        log.write(ADMIN)
    with pytest.raises(SecretLeaked, match=r"up\.log"):
        up.wait()


def test_what_the_service_makes_is_known_by_its_shape() -> None:
    token = sign(b"s" * 32, "results/ab/cd.glb", "chair.glb", "model/gltf-binary", 2_000_000_000)
    made = ("i2m_" + secrets.token_urlsafe(32), secrets.token_urlsafe(32), "whsec_" + "A1b2" * 10, token)
    for secret in made:
        with pytest.raises(SecretLeaked):
            check_text(f'{{"event": "x", "of": "{secret}"}}', (), "a log")
    harmless = f"i2m_Zm9vYm {'0a' * 32} {uuid.uuid4()} /tmp/A_folder/of_a_test_with_a_long_name0/api.log"
    check_text(harmless, (), "a log")


SOME_TESTS = """
import logging, structlog
from tests.support.secrecy import LEDGER

def test_of_structlog():
    LEDGER.note("a-key-that-was-used")
    structlog.get_logger().info("x", key="a-key-that-was-used")

def test_of_a_librarys_log():
    LEDGER.note("a-key-that-was-used")
    logging.getLogger("uvicorn").error("got a-key-that-was-used")

def test_of_discretion():
    LEDGER.note("a-key-that-was-used")
    structlog.get_logger().info("x", key="[secret]")
"""


@pytest.mark.long
def test_a_test_whose_own_process_logs_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SOME_TESTS)
    plugins = ("no:cacheprovider", "no:schemathesis", "tests.support.secrecy_hook")
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "-q", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, *(f"-p{plugin}" for plugin in plugins), "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    told = re.findall(r"^test_it.py::(\w+): a secret of 19 characters", done.stdout, re.MULTILINE)
    assert sorted(told) == ["test_of_a_librarys_log", "test_of_structlog"], done.stdout
