"""No secret in a log: real processes, every kind of request, every key that was used."""

from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.service import keys
from image2model.up.store import EmbeddedStore
from tests.api.conftest import Service, batch
from tests.auth.conftest import ADMIN, Caller
from tests.auth.test_sessions import SAME, cookie, sign_in
from tests.support.api_process import api_process
from tests.support.servers import Address

METRICS = "the-token-of-the-metrics"
FAL = "fal-key-id:fal-key-secret-text"


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_log_line_holds_a_key_a_cookie_or_a_file_token(
    valkey: EmbeddedStore, redis: Redis, tmp_path: Path, form: str
) -> None:
    made = await keys.create(redis, keys.KeyWish(name="ann", rate="3/min"))
    log = tmp_path / "api.log"
    settings = {
        "I2M_REDIS_URL": valkey.url,
        "I2M_STORAGE_URL": (tmp_path / "files").as_uri(),
        "I2M_AUTH": "keys",
        "I2M_ADMIN_KEY": ADMIN,
        "I2M_METRICS_TOKEN": METRICS,
        "FAL_KEY": FAL,
        "I2M_LOG_FORMAT": form,
        "I2M_LOG_LEVEL": "debug",
    }
    with api_process(log, **settings) as port:
        secrets = _use(Service(Address("127.0.0.1", port), tmp_path / "files"), made.key)
    text = log.read_text()
    assert "/api/v1/session" in text
    for secret in (made.key, ADMIN, METRICS, FAL, FAL.split(":")[1], *secrets):
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
