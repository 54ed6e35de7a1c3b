"""Without keys, only our own pages and plain clients may call, and only under a name of ours."""

from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from image2model.api.middleware import ProblemAnswers, RequestId, SiteGuard
from tests.support.servers import Address, serving


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(Request(scope).method)(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    guard = SiteGuard(served, allowed_hosts=["models.example"], allowed_origins=["https://studio.example"])
    with serving(RequestId(ProblemAnswers(guard)), lifespan="off") as running:
        yield running


def status(address: Address, *headers: str) -> int:
    with address.connect() as raw:
        lines = "".join(f"{line}\r\n" for line in headers)
        raw.sendall(f"POST / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        return int(raw.recv(4096).split()[1])


LOCAL = "Host: 127.0.0.1:8000"

ALLOWED = [
    (LOCAL,),
    ("Host: localhost",),
    ("Host: LOCALHOST.:9",),
    ("Host: [::1]:8000",),
    ("Host: 127.9.9.9:1",),
    ("Host: models.example:443",),
    (LOCAL, "Origin: http://127.0.0.1:8000", "Sec-Fetch-Site: same-origin"),
    (LOCAL, "Sec-Fetch-Site: none"),
    ("Host: models.example", "Origin: https://models.example:443"),
    (LOCAL, "Origin: https://studio.example", "Sec-Fetch-Site: cross-site"),
]

REFUSED = [
    ("X-No-Host: 1",),
    ("Host: ",),
    ("Host: evil.example",),
    ("Host: evil.example:8000", "Origin: http://evil.example:8000", "Sec-Fetch-Site: same-origin"),
    ("Host: localhost.evil.example",),
    ("Host: 127.0.0.1.evil.example",),
    ("Host: 127.0.0.1@evil.example",),
    ("Host: 192.168.0.4:8000",),
    ("Host: 0.0.0.0:8000",),
    (LOCAL, "Host: localhost"),
    (LOCAL, "Origin: null"),
    (LOCAL, "Origin: http://evil.example"),
    (LOCAL, "Origin: http://127.0.0.1:3000"),
    (LOCAL, "Origin: http://localhost:8000"),
    (LOCAL, "Origin: file://"),
    (LOCAL, "Origin: http://127.0.0.1:8000", "Origin: http://evil.example"),
    (LOCAL, "Origin: https://studio.example.evil.example"),
    (LOCAL, "Sec-Fetch-Site: cross-site"),
    (LOCAL, "Sec-Fetch-Site: same-site"),
]


@pytest.mark.parametrize("headers", ALLOWED, ids=" ".join)
def test_our_own_are_let_in(address: Address, headers: tuple[str, ...]) -> None:
    assert status(address, *headers) == 200


@pytest.mark.parametrize("headers", REFUSED, ids=" ".join)
def test_others_are_refused(address: Address, headers: tuple[str, ...]) -> None:
    assert status(address, *headers) in (
        {400, 403} if "Host" in headers[-1] or "No-Host" in headers[0] else {403}
    )
