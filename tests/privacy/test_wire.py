"""What goes to FAL under each setting, seen in the requests themselves: headers, and where the keys go."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from image2model.errors import FalResultGone, FalTransient
from image2model.fal.errors import FalAdminRefused, FalFilesLeft, FalUnreachable
from image2model.fal.gateway import FalGateway, other_hosts_session
from image2model.fal.hosts import FalHosts
from image2model.fal.privacy import FalPrivacy
from tests.support.emulator_process import KEY
from tests.support.privacy import ADMIN_KEY
from tests.support.raw_server import Exchange, RawServer, raw_server

EXPIRE = FalPrivacy(retention_s=86_400)
PRIVATE = FalPrivacy(retention_s=86_400, restricted=True, admin_key=ADMIN_KEY)
PREFERENCE = "x-fal-object-lifecycle-preference"


class FakeFal:
    """FAL's API and its CDN; `answer` is what its storage and platform API answer."""

    def __init__(self, answer: bytes = b"{}", status: str = "200 OK") -> None:
        self.answer = answer
        self.status = status
        self.base = ""

    async def __call__(self, exchange: Exchange) -> None:
        line = exchange.request_line
        if "/storage/files/sign" in line or "/payloads" in line:
            await exchange.reply(self.status, self.answer)
        elif "/storage/auth/token" in line:
            token = {
                "token": "t",
                "token_type": "Bearer",
                "base_url": "x",
                "expires_at": "2099-01-01T00:00:00Z",
            }
            await exchange.reply("200 OK", json.dumps(token).encode())
        elif "/files/upload" in line:
            await exchange.reply("200 OK", b'{"access_url":"https://v3.fal.media/f"}')
        elif "moved" in line:
            await exchange.reply("302 Found", b"", Location="/files/elsewhere.glb")
        elif line.startswith("POST"):
            await exchange.reply("200 OK", b'{"request_id":"r-1"}')
        else:
            await exchange.reply("200 OK", b"glTF")


@asynccontextmanager
async def gateway(fal: FakeFal, privacy: FalPrivacy) -> AsyncIterator[tuple[FalGateway, RawServer]]:
    async with raw_server(fal) as server:
        fal.base = server.url
        others = other_hosts_session(allow_private=True)
        hosts = FalHosts.at(server.url)
        async with FalGateway(KEY, hosts, privacy=privacy, read_deadline=1, other_hosts=others) as opened:
            yield opened, server


async def sent(privacy: FalPrivacy) -> tuple[Exchange, Exchange]:
    """The upload's and the submit's request."""

    async def mark() -> None:
        pass

    async with gateway(FakeFal(), privacy) as (fal, server):
        await fal.upload(b"x", filename="a.png", content_type="image/png")
        await fal.submit("fal-ai/trellis", {}, tags={"i2m.attempt": "a"}, webhook_url=None, before_send=mark)
        upload = next(one for one in server.requests if "/files/upload" in one.request_line)
        return upload, server.requests[-1]


async def test_default_sends_nothing_about_it() -> None:
    for request in await sent(FalPrivacy()):
        assert b"lifecycle" not in request.head.lower()
        assert b"store-io" not in request.head.lower()


@pytest.mark.parametrize(
    ("privacy", "acl"),
    [(EXPIRE, None), (PRIVATE, {"default": "forbid", "rules": []})],
    ids=["expire", "private"],
)
async def test_uploads_and_submits_carry_the_preference(privacy: FalPrivacy, acl: object) -> None:
    upload, submit = await sent(privacy)
    for name in (PREFERENCE, "x-fal-object-lifecycle"):
        assert json.loads(upload.header(name) or "") == {"expiration_duration_seconds": 86_400}
    expected = {"expiration_duration_seconds": 86_400} | ({"initial_acl": acl} if acl else {})
    assert json.loads(submit.header(PREFERENCE) or "") == expected
    assert submit.header("x-fal-tags") == "i2m.attempt=a"
    for request in (upload, submit):
        assert b"store-io" not in request.head.lower()
        assert ADMIN_KEY.encode() not in request.head


async def read(fal: FalGateway, url: str) -> bytes:
    async with fal.download(url) as file:
        return b"".join([chunk async for chunk in file.chunks()])


async def test_key_goes_to_the_signing_call_alone_and_along_no_redirect() -> None:
    fake = FakeFal()
    async with gateway(fake, PRIVATE) as (fal, server):
        fake.answer = json.dumps({"signed_url": f"{server.url}/files/moved.glb?identity=s"}).encode()
        assert await read(fal, f"{server.url}/files/a.glb?x=1#part") == b"glTF"
        sign, first, second = server.requests
        assert sign.request_line.startswith("POST /v1/storage/files/sign?url=")
        assert "x%3D1" not in sign.request_line
        assert "identity" not in sign.request_line
        assert json.loads(sign.body) == {"expiration_seconds": 3600}
        assert sign.header("authorization") == f"Key {KEY}"
        assert "identity=s" in first.request_line
        assert [one.header("authorization") for one in (first, second)] == [None, None]
        await read(fal, f"{server.url}/files/a.glb")
        assert [one.request_line.split()[0] for one in server.requests[3:]] == ["POST", "GET", "GET"]


async def test_file_of_another_host_is_fetched_as_it_is() -> None:
    fake = FakeFal()
    async with raw_server(FakeFal()) as partner, gateway(fake, PRIVATE) as (fal, server):
        assert await read(fal, f"{partner.url}/files/a.glb") == b"glTF"
        assert server.requests == []
        assert [one.header("authorization") for one in partner.requests] == [None]


async def test_signed_address_elsewhere_is_not_followed() -> None:
    fake = FakeFal(b'{"signed_url":"https://example.com/a"}')
    async with gateway(fake, PRIVATE) as (fal, server):
        with pytest.raises(FalUnreachable):
            await read(fal, f"{server.url}/files/a.glb")


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        ("404 Not Found", b"{}", FalResultGone),
        ("403 Forbidden", b'{"detail":"no"}', FalUnreachable),
        ("401 Unauthorized", b"{}", FalUnreachable),
        ("500 Oops", b"{}", FalUnreachable),
        ("302 Found", b"", FalUnreachable),
        ("200 OK", b"<html>", FalUnreachable),
    ],
)
async def test_address_that_is_not_signed_is_tried_again_like_a_fetch(
    status: str, answer: bytes, error: type[Exception]
) -> None:
    async with gateway(FakeFal(answer, status), PRIVATE) as (fal, server):
        with pytest.raises(error) as raised:
            await read(fal, f"{server.url}/files/secret-name.glb")
        assert type(raised.value) is error
        assert "secret-name" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        ("200 OK", b'{"cdn_delete_results":[]}', None),
        ("200 OK", b'{"cdn_delete_results":[{"link":"l","exception":null}]}', None),
        (
            "200 OK",
            b'{"cdn_delete_results":[{"link":"l","exception":"l is busy"},{"link":"m"}]}',
            FalFilesLeft,
        ),
        ("200 OK", b'{"cdn_delete_results":[{"link":"l","exception":{"type":"x"}}]}', FalFilesLeft),
        ("200 OK", b"{}", FalTransient),
        ("200 OK", b"<html>", FalTransient),
        ("302 Found", b"", FalTransient),
        ("401 Unauthorized", b"{}", FalAdminRefused),
        ("403 Forbidden", b"{}", FalAdminRefused),
        ("404 Not Found", b"{}", FalResultGone),
        ("500 Oops", b"{}", FalTransient),
    ],
)
async def test_deletion_is_done_only_if_fal_says_so_of_every_file(
    status: str, answer: bytes, error: type[Exception] | None
) -> None:
    async with gateway(FakeFal(answer, status), PRIVATE) as (fal, server):
        if error is None:
            await fal.delete_payloads("r-1")
        else:
            with pytest.raises(error) as raised:
                await fal.delete_payloads("r-1")
            assert type(raised.value) is error
        request = server.requests[0]
        assert request.request_line.startswith("DELETE /v1/models/requests/r-1/payloads ")
        assert request.header("authorization") == f"Key {ADMIN_KEY}"
        assert request.header("idempotency-key") is None


async def test_text_of_a_failure_names_no_address() -> None:
    link = "https://v3.fal.media/f"
    answer = json.dumps({"cdn_delete_results": [{"link": link, "exception": f"{link} is busy"}]}).encode()
    async with gateway(FakeFal(answer), PRIVATE) as (fal, _):
        with pytest.raises(FalFilesLeft, match="its URL is busy"):
            await fal.delete_payloads("r-1")


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://v3.fal.media/files/b/a", True),
        ("https://v3b.fal.media/files/b/a", True),
        ("https://fal.media/files/a", False),
        ("https://v2.fal.media/files/a", False),
        ("http://v3.fal.media/files/a", False),
        ("https://v3.fal.media.example.com/a", False),
        ("https://v3.fal.ai/a", False),
        ("https://user@v3.fal.media/a", False),
    ],
)
def test_only_the_v3_cdn_has_access_lists(url: str, known: bool) -> None:
    assert FalHosts().has_access_lists(url) is known
