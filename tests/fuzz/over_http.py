"""The long run over HTTP: `python -m tests.fuzz.over_http SECONDS`.

An API process with a worker, a store and a storage takes bodies that enemies make, sent whole, in chunks, cut
off and reset. It ends with 1 where an answer is a 5xx or undocumented, where the API's memory has grown by
more than 64 MiB after the first tenth, or where a file is left once every job that came of it is deleted. So
it does where it proves nothing: the API or the worker ended, a whole body had no answer, no body was taken or
none refused, the bodies ended before the time did.
"""

import asyncio
import os
import socket
import struct
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.bench.world import durable_store
from tests.fuzz.bodies import bodies
from tests.support.fleet import Fleet, fleet_on
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.ports import free_port
from tests.support.processes import is_gone
from tests.support.service_process import ServiceProcess

_DOCUMENTED: Final = frozenset({202, 408, 413, 415, 422})
_ANSWERED: Final = frozenset({"whole", "chunks"})
"""Ways of sending in which the whole body comes, so that an answer is due."""
_GROWTH: Final = 64 << 20
_WAYS: Final = ("whole", "chunks", "promised more", "reset")
_EMPTY_S: Final = 120.0


class Finding(AssertionError):
    """What should not have happened."""


class TimeOver(Exception):
    """The run has lasted as long as it was asked to."""


def resident(pid: int) -> int:
    """Bytes of memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answer_to(port: int, body: bytes, way: str, cut: int) -> tuple[int, bytes]:
    """The status and the rest of the answer; 0 where the client left first."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as raw:
        raw.sendall(_head(body, way))
        sent = body[: cut % (len(body) + 1)] if way == "reset" else body
        raw.sendall(b"".join(_chunks(sent, 1 + cut % 97)) if way == "chunks" else sent)
        if way == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return 0, b""
        if way == "promised more":
            raw.shutdown(socket.SHUT_WR)
        answer = _all_of(raw)
        return (int(answer[9:12]), answer) if answer else (0, b"")


def _head(body: bytes, way: str) -> bytes:
    length = {
        "chunks": "Transfer-Encoding: chunked",
        "promised more": f"Content-Length: {len(body) + 1000}",
    }.get(way, f"Content-Length: {len(body)}")
    lines = ["POST /api/v1/upload/batch HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Type: {CONTENT_TYPE}", length, "", ""]).encode()


def _chunks(body: bytes, size: int) -> list[bytes]:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


def _all_of(raw: socket.socket) -> bytes:
    answer = bytearray()
    try:
        while part := raw.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return bytes(answer)


class Attack:
    """One run against one API process."""

    def __init__(self, api: ServiceProcess, port: int, seconds: float) -> None:
        self._api = api
        self._port = port
        self._begun = time.monotonic()
        self._seconds = seconds
        self._base = 0
        self.statuses: dict[int, int] = {}

    def run(self) -> None:
        """Until the time is over. Raises Finding."""
        rules = settings(
            max_examples=10**9,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        try:
            rules(given(bodies, st.sampled_from(_WAYS), st.integers(0, 1 << 14))(self.once))()
        except TimeOver:
            self._check_exercised()
        else:
            raise Finding(f"the bodies ended after {sum(self.statuses.values())}, before the time did")

    def _check_exercised(self) -> None:
        if not self.statuses.get(202) or not self.statuses.get(422):
            raise Finding(f"nothing was exercised: {self.statuses}")

    def once(self, body: bytes, way: str, cut: int) -> None:
        """One body. Raises TimeOver at the end of the run."""
        if time.monotonic() - self._begun > self._seconds:
            raise TimeOver
        status, answer = answer_to(self._port, body, way, cut)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if not status and way in _ANSWERED:
            raise Finding(f"no answer to {body!r}, sent {way}")
        if status and status not in _DOCUMENTED:
            raise Finding(f"{status} to {body!r}, sent {way}: {answer[:500]!r}")
        if status == 202:
            self._delete(answer)
        if sum(self.statuses.values()) % 500 == 0:
            self._look()

    def _delete(self, answer: bytes) -> None:
        location = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"location:"))
        job_id = location.rsplit(b"/", 1)[1].decode()
        url = f"http://127.0.0.1:{self._port}/api/v1/jobs/{job_id}"
        with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30):
            pass

    def _look(self) -> None:
        now = resident(self._api.pid)
        if not self._base and time.monotonic() - self._begun > self._seconds / 10:
            self._base = now
        if self._base and now - self._base > _GROWTH:
            raise Finding(f"the API's memory has grown by {(now - self._base) >> 20} MiB")

    @property
    def grown(self) -> int:
        """Bytes since the first tenth."""
        return resident(self._api.pid) - self._base if self._base else 0


async def emptied(folder: Path) -> None:
    """Wait until no file is left. Raises Finding."""
    until = time.monotonic() + _EMPTY_S
    while left := [path for path in folder.rglob("*") if path.is_file()]:
        if time.monotonic() > until:
            raise Finding(f"{len(left)} files are left, among them {left[0]}")
        await asyncio.sleep(0.2)


async def attack(fleet: Fleet, folder: Path, seconds: float) -> str:
    """What was seen. Raises Finding."""
    port = free_port()
    api = await fleet.start_api(port, I2M_LOG_LEVEL="info")
    worker = fleet.start_worker(I2M_LOG_LEVEL="warning")
    run = Attack(api, port, seconds)
    await asyncio.to_thread(run.run)
    for process in (api, worker):
        if is_gone(process.pid):
            raise Finding(f"a process ended by itself:\n{process.log.read_text()[-2000:]}")
    if b"Traceback" in api.log.read_bytes():
        raise Finding("the API's log holds a traceback")
    grown = run.grown
    await emptied(folder / "files")
    answers = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(run.statuses.items()))
    total = sum(run.statuses.values())
    return f"{total} bodies in {seconds:.0f} s: {answers}; memory grew by {grown >> 10} KiB, storage empty"


async def main(seconds: float) -> None:
    """Print what was seen."""
    with durable_store() as (store, _), tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        async with fleet_on(store.url, Path(folder)) as fleet:
            sys.stdout.write(await attack(fleet, Path(folder), seconds) + "\n")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
