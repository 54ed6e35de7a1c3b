"""Names that the service answers to, and addresses that it believes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from image2model.up.store import EmbeddedStore
from tests.support.api_process import api_process
from tests.support.callers import ADMIN
from tests.support.served_api import Answer, Service
from tests.support.servers import Address


def test_other_names_are_refused_where_names_are_set(make_keyed_service: Callable[..., Service]) -> None:
    service = make_keyed_service(allowed_hosts="models.example")
    key = {"Authorization": f"Bearer {ADMIN}"}

    def asked(host: str) -> Answer:
        return service.send("GET", "/api/v1/session", None, {**key, "Host": host})

    assert asked("models.example").status == 200
    assert asked("models.example:443").status == 200
    assert asked("evil.example").code == "forbidden"
    assert asked("models.example.evil").code == "forbidden"
    assert service.send("GET", "/api/v1/health/live", None, {"Host": "10.1.2.3"}).status == 200


def test_no_other_site_may_read_by_default(make_keyed_service: Callable[..., Service]) -> None:
    answer = make_keyed_service().send("GET", "/api/v1/health/live", None, {"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_site_that_may_read_answers_may_read_refusals_too(make_keyed_service: Callable[..., Service]) -> None:
    service = make_keyed_service(cors_origins="https://app.example")
    key = {"Authorization": f"Bearer {ADMIN}"}
    for path, headers, status in (("session", key, 200), ("session", {}, 401), ("nothing", key, 404)):
        answer = service.send("GET", f"/api/v1/{path}", None, {"Origin": "https://app.example", **headers})
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
    foreign = service.send("GET", "/api/v1/nothing", None, {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize(("trusted", "limited"), [("", True), ("127.0.0.1", False)])
def test_forwarded_address_counts_only_from_a_trusted_proxy(
    valkey: EmbeddedStore, tmp_path: Path, trusted: str, limited: bool
) -> None:
    settings = {
        "I2M_REDIS_URL": valkey.url,
        "I2M_STORAGE_URL": (tmp_path / "files").as_uri(),
        "I2M_AUTH": "keys",
        "I2M_TRUSTED_PROXIES": trusted,
    }
    with api_process(tmp_path / "api.log", **settings) as port:
        service = Service(Address("127.0.0.1", port), tmp_path)
        statuses = set()
        for number in range(250):
            guess = {"Authorization": f"Bearer guess-{number}", "X-Forwarded-For": f"198.51.100.{number}"}
            statuses.add(service.send("GET", "/api/v1/session", None, guess).status)
    assert statuses == ({401, 429} if limited else {401})
