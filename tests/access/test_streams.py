"""Event streams end with the key, or the session, that opened them."""

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.access.conftest import MakeCaller
from tests.support.callers import SAME, Caller, cookie, sign_in
from tests.support.served_api import Service, batch


@dataclass(frozen=True)
class Stream:
    connection: http.client.HTTPConnection
    answer: http.client.HTTPResponse


def opened(service: Service, path: str, headers: dict[str, str]) -> "Stream":
    connection = http.client.HTTPConnection(service.address.host, service.address.port, timeout=30)
    connection.request("GET", f"/api/v1/{path}", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.readline()
    return Stream(connection, answer)


def ends(stream: "Stream", act: Callable[[], object]) -> bool:
    """Whether the stream ends soon after something was done."""

    def read() -> None:
        try:
            while stream.answer.readline():
                pass
        except (http.client.IncompleteRead, ConnectionError):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    act()
    reader.join(5)
    stream.answer.close()
    stream.connection.close()
    return not reader.is_alive()


async def test_revocation_ends_open_streams(service: Service, admin: Caller, make_caller: MakeCaller) -> None:
    ann, bob = await make_caller("ann"), await make_caller("bob")
    job_id = ann.upload(batch()).text("job_id")
    headers = {"Authorization": f"Bearer {ann.key}"}
    streams = [opened(service, path, headers) for path in (f"status/stream/{job_id}", "events")]
    of_bob = opened(service, "events", {"Authorization": f"Bearer {bob.key}"})
    for stream in streams:
        assert ends(stream, lambda: admin.send("DELETE", f"admin/keys/{ann.key_id}"))
    assert ends(of_bob, lambda: admin.send("DELETE", f"admin/keys/{bob.key_id}"))


async def test_signing_out_ends_the_sessions_streams(service: Service, make_caller: MakeCaller) -> None:
    ann = await make_caller()
    jar = cookie(sign_in(service, ann.key))
    stream = opened(service, "events", jar)
    out = lambda: service.send("DELETE", "/api/v1/session", None, {**jar, **SAME})  # noqa: E731
    assert ends(stream, out)
