"""Services with keys, and callers that send them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Answer, MakeService, Service, services

ADMIN = "the-first-admin-key-of-the-settings"
SAME = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Caller:
    """Somebody with a key."""

    service: Service
    key: str
    key_id: str = ""
    owner: str = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        full = path if path.startswith("/") else f"/api/v1/{path}"
        given = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        return self.service.send(method, full, body, given)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, {k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return self.send("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def upload(self, body: Body, **headers: str) -> Answer:
        return self.post("upload/batch", bytes(body), content_type=CONTENT_TYPE, **headers)

    def on(self, service: Service) -> "Caller":
        """The same on another process."""
        return Caller(service, self.key, self.key_id, self.owner)


def keyed_settings(redis_url: str, folder: Path) -> dict[str, str]:
    """What an API process with keys must have in its environment."""
    return {
        "I2M_REDIS_URL": redis_url,
        "I2M_STORAGE_URL": (folder / "files").as_uri(),
        "I2M_AUTH": "keys",
        "I2M_ADMIN_KEY": ADMIN,
    }


@pytest.fixture
def make_keyed_service(tmp_path: Path, redis_url: str) -> Iterator[MakeService]:
    """Serve an application with keys, with settings of one's own."""
    with services(tmp_path, redis_url, auth="keys", admin_key=ADMIN) as make:
        yield make


def sign_in(service: Service, key: str, headers: dict[str, str] | None = None) -> Answer:
    return service.send("POST", "/api/v1/session", msgspec.json.encode({"key": key}), headers or {})


def cookie(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
