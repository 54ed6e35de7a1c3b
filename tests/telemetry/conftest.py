"""An API and a worker as real processes, and a client that talks to them."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.ports import free_port
from tests.support.sketches import picture

ADMIN_KEY = "i2m_an-operator-has-chosen-it"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    """Where traces go."""
    with otlp_receiver() as receiver:
        yield receiver


class Ann:
    """A client with a key."""

    def __init__(self, port: int) -> None:
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
            timeout=20,
        )

    async def upload(self, **headers: str) -> str:
        """A job of one picture; its id."""
        answer = await self.http.post(
            "/upload/batch",
            content=bytes(Body().file("chair.png", picture(7, (48, 32)))),
            headers={"Content-Type": CONTENT_TYPE, **headers},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])


@pytest.fixture
async def port() -> int:
    """A free port of loopback."""
    return free_port()


@pytest.fixture
async def ann(port: int) -> AsyncIterator[Ann]:
    """Her, before the API has started."""
    ann = Ann(port)
    async with ann.http:
        yield ann
