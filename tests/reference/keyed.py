"""The whole service with keys, and who visits it: an admin, users, nobody.

Who calls it: the tests that let schemathesis loose on it.
"""

import itertools
import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.sketches import picture
from tests.support.up_process import Up
from tests.support.wait import wait_until

ADMIN_KEY: Final = "the-admin-key-that-explores-all-routes"
QUEUES: Final = ("model_generation", "batch_processing", "maintenance")
PLENTY: Final = "100000/min"


@dataclass(frozen=True)
class Visitor:
    """Somebody, and the headers that say who. `address` is where a trusted proxy saw it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = "198.51.100.1"

    def ask(self, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """The JSON of an answer; urllib.error.HTTPError for a refusal."""
        headers = {**self.headers, "Content-Type": content_type}
        request = urllib.request.Request(f"{self.url}{path}", body, headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def document(self) -> dict[str, Any]:
        """The service's OpenAPI document."""
        document: dict[str, Any] = self.ask("/api/v1/openapi.json")
        return document

    def finished_job(self) -> tuple[str, str]:
        """Ids of a job that has ended and of its image; made once, the others reuse its result."""
        body = Body()
        body.file("chair.png", picture(fmt="PNG", seed=3))
        job = self.ask("/api/v1/upload/batch", bytes(body), CONTENT_TYPE)
        wait_until(lambda: self.ask(job["links"]["self"])["status"] == "succeeded", timeout=30)
        return job["job_id"], job["images"][0]["image_id"]


class Keyed:
    """A running service. Each visitor has an address of its own: unknown keys are counted by address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.admin = self._visitor(ADMIN_KEY, 1)
        self.nobody = Visitor(url, {}, "198.51.100.2")
        self._numbers = itertools.count(3)

    def user(self) -> Visitor:
        """The owner of a new key."""
        return self._visitor(self._new_key()["key"], next(self._numbers))

    def ids_of(self, owner: Visitor) -> Iterator[tuple[str, str, str]]:
        """Without end: ids of a finished job of its own, of the job's image, of a key that nobody uses."""
        while True:
            yield (*owner.finished_job(), self._new_key()["key_id"])

    def resume_queues(self) -> None:
        """Undo what an admin's run has done."""
        for queue in QUEUES:
            self.admin.ask(f"/api/v1/admin/queues/{queue}/resume", b"")

    def _new_key(self) -> dict[str, str]:
        request = json.dumps({"name": "explorer", "rate": PLENTY}).encode()
        made: dict[str, str] = self.admin.ask("/api/v1/admin/keys", request)
        return made

    def _visitor(self, key: str, number: int) -> Visitor:
        return Visitor(self.url, {"Authorization": f"Bearer {key}"}, f"198.51.100.{number}")


@contextmanager
def running_with_keys() -> Iterator[Keyed]:
    """`image2model up` with its emulator and keys, on free ports, behind a proxy that it trusts."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        settings = {
            "I2M_AUTH": "keys",
            "I2M_ADMIN_KEY": ADMIN_KEY,
            "I2M_RATE_LIMIT": PLENTY,
            "I2M_TRUSTED_PROXIES": "127.0.0.1",
            "I2M_PUBLIC_URL": "http://127.0.0.1:9",
        }
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "200ms", **settings)
        try:
            yield Keyed(up.ready().url)
        finally:
            assert up.end() == 0
