"""A key that is revoked at one API process opens nothing at another: two real processes on one store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from image2model.access.keys import digest
from image2model.store.keys import key
from tests.support.callers import ADMIN, Caller, cookie, sign_in
from tests.support.fleet import Fleet, fleet_on
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.ports import free_port
from tests.support.served_api import Answer, Service, batch
from tests.support.servers import Address
from tests.support.service_process import ServiceProcess
from tests.support.wait import until

CUT_WITHIN_S = 2.5
"""Open streams are asked for every second; the rest is room for a busy machine."""


@dataclass(frozen=True)
class Pair:
    """Two processes, each with a port of its own."""

    here: Service
    there: Service
    fleet: Fleet

    @property
    def admin(self) -> Caller:
        return Caller(self.here, ADMIN)

    def caller(self) -> Caller:
        """Somebody with a new key, made at the one."""
        made = self.admin.post("admin/keys", msgspec.json.encode({"name": "ann"}))
        assert made.status == 201
        return Caller(self.here, made.text("key"), made.text("key_id"), made.text("owner"))

    def revoke(self, caller: Caller) -> None:
        """At the one."""
        assert self.admin.send("DELETE", f"admin/keys/{caller.key_id}").status == 204


@pytest.fixture
async def pair(redis_url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """Both are ready, and are processes of their own."""
    async with fleet_on(redis_url, tmp_path) as fleet:
        here, there = await asyncio.gather(_start(fleet, tmp_path), _start(fleet, tmp_path))
        assert len({process.pid for process in fleet.workers}) == 2
        yield Pair(here, there, fleet)


async def _start(fleet: Fleet, folder: Path) -> Service:
    address = Address("127.0.0.1", free_port())
    await fleet.start_api(address.port, I2M_AUTH="keys", I2M_ADMIN_KEY=ADMIN)
    return Service(address, folder / "files")


async def test_the_next_request_at_the_other_process_is_refused(pair: Pair) -> None:
    """And stays so, although the process that took the revocation dies right after it."""
    ann = pair.caller()
    job_id = ann.upload(batch()).text("job_id")
    elsewhere = ann.on(pair.there)
    assert elsewhere.get(f"status/{job_id}").status == 200
    pair.revoke(ann)
    first: ServiceProcess = pair.fleet.workers[0]
    await first.end()
    refused = elsewhere.get(f"status/{job_id}")
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert elsewhere.upload(batch()).status == 401


async def test_open_streams_at_the_other_process_end(pair: Pair) -> None:
    ann, bob = pair.caller(), pair.caller()
    job_id = ann.upload(batch()).text("job_id")
    async with (
        opened(pair.there, "events", ann) as events,
        opened(pair.there, f"status/stream/{job_id}", ann) as of_job,
        opened(pair.there, "events", bob) as of_bob,
    ):
        pair.revoke(ann)
        async with asyncio.timeout(CUT_WITHIN_S):
            await asyncio.gather(end_of(events), end_of(of_job))
        assert not of_bob.at_eof()


async def test_an_upload_under_way_at_the_other_process_makes_no_job(pair: Pair) -> None:
    ann = pair.caller()
    whole = bytes(batch())
    reader, writer = await asyncio.open_connection(pair.there.address.host, pair.there.address.port)
    head = (
        f"POST /api/v1/upload/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nAuthorization: Bearer {ann.key}\r\n\r\n"
    )
    writer.write(head.encode() + whole[:100])
    await _was_let_in(pair.fleet.redis, ann)
    pair.revoke(ann)
    writer.write(whole[100:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    assert [name async for name in pair.fleet.redis.scan_iter(key("job", "*"))] == []
    assert pair.there.stored() == []


@pytest.mark.long
async def test_a_session_of_the_key_dies_at_the_other_process(pair: Pair) -> None:
    ann = pair.caller()
    jar = cookie(sign_in(pair.here, ann.key))

    def asked() -> Answer:
        return pair.there.send("GET", "/api/v1/session", None, jar)

    assert asked().status == 200
    async with opened(pair.there, "events", None, **jar) as stream:
        pair.revoke(ann)
        assert asked().status == 401
        async with asyncio.timeout(CUT_WITHIN_S):
            await end_of(stream)


@asynccontextmanager
async def opened(
    service: Service, path: str, who: Caller | None, **headers: str
) -> AsyncIterator[asyncio.StreamReader]:
    """A stream that has begun: its first event is there."""
    reader, writer = await asyncio.open_connection(service.address.host, service.address.port)
    named = dict(headers) | ({"Authorization": f"Bearer {who.key}"} if who else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    writer.write(f"GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    try:
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"event: snapshot")
        yield reader
    finally:
        writer.transport.abort()


async def end_of(stream: asyncio.StreamReader) -> None:
    """Read to the end, which may be a cut."""
    try:
        while await stream.read(1 << 16):
            pass
    except ConnectionError:
        pass  # cut, and not closed: what was still under way went with it


async def _was_let_in(redis: Redis, who: Caller) -> None:
    async def used() -> bool:
        return bool(await redis.hget(key("api_key", digest(who.key)), "last_used_at"))

    await until(used)
