"""A served application on a real store and a folder, and a plain client that talks to it."""

import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from image2model import settings
from image2model.api.app import create_app
from image2model.api.protocol import AbortableProtocol
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.secrecy import LEDGER
from tests.support.servers import Address, serving
from tests.support.sketches import picture

BASE = "/api/v1"
PNG = picture(fmt="PNG")


@dataclass(frozen=True)
class Answer:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> dict[str, object]:
        return msgspec.json.decode(self.content, type=dict[str, object])

    @property
    def code(self) -> object:
        return self.body["code"]

    def text(self, name: str) -> str:
        """A text of the body."""
        value = self.body[name]
        assert isinstance(value, str)
        return value

    def items(self, name: str) -> list[dict[str, Any]]:
        """A list of objects of the body."""
        return msgspec.convert(self.body[name], list[dict[str, Any]])


@dataclass
class Service:
    """One API process's application while it is served."""

    address: Address
    files: Path

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request over a connection of its own; the whole body is written before the answer is read."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            LEDGER.note_exchange(headers or {}, dict(answer.getheaders()))
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, content)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """A GET; `if_none_match=…` becomes a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", path if path.startswith("/") else f"{BASE}/{path}", None, named)

    def post(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path if path.startswith("/") else f"{BASE}/{path}", body, named)

    def upload(self, body: Body | bytes, content_type: str = CONTENT_TYPE, **headers: str) -> Answer:
        """Post a batch."""
        return self.post("upload/batch", bytes(body), content_type=content_type, **headers)

    def stored(self) -> list[str]:
        """The files of the storage, relative to its root."""
        found = (Path(folder, name) for folder, _, names in os.walk(self.files) for name in names)
        return sorted(str(path.relative_to(self.files)) for path in found)


def batch(count: int = 1, **fields: str) -> Body:
    """A good batch of `count` different pictures."""
    body = Body()
    for index in range(count):
        body.file(f"{index}.png", picture(fmt="PNG", seed=index))
    for name, value in fields.items():
        body.text(name, value)
    return body


MakeService = Callable[..., Service]


@contextmanager
def services(folder: Path, redis_url: str, **defaults: str) -> Iterator[MakeService]:
    """Makes services that run until the end; settings by their names without `I2M_`."""
    with ExitStack() as stack:

        def make(**overrides: str) -> Service:
            files = folder / "files"
            given = {"redis_url": redis_url, "storage_url": files.as_uri(), **defaults, **overrides}
            app = create_app(settings.load({}, **given))
            service = Service(stack.enter_context(serving(app, http=AbortableProtocol, lifespan="on")), files)
            assert service.get("health/live").status == 200  # the port listens before the lifespan is through
            return service

        yield make


@pytest.fixture
def make_service(tmp_path: Path, redis_url: str) -> Iterator[MakeService]:
    """Serve an application without keys, with settings of one's own."""
    with services(tmp_path, redis_url, auth="none") as make:
        yield make


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service()
