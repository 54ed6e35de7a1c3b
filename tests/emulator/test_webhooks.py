"""Webhooks: sent at the end, signed so that the JWKS verifies them, and sent again until they are taken."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.emulator import RunningEmulator
from tests.support.sketches import picture


class Receiver:
    """A webhook receiver that answers with the statuses it is given, then 200."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.received: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        self.received.put_nowait((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def _verify(emulator: RunningEmulator, headers: dict[str, str], body: bytes) -> None:
    keys = (await emulator.http.get("/.well-known/jwks.json")).json()["keys"]
    x = keys[0]["x"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
    parts = [headers[f"X-Fal-Webhook-{name}"] for name in ("Request-Id", "User-Id", "Timestamp")]
    message = "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode()
    public.verify(bytes.fromhex(headers["X-Fal-Webhook-Signature"]), message)


async def _submit(emulator: RunningEmulator, receiver: Receiver, url: str, **headers: str) -> dict[str, Any]:
    return dict(
        (await emulator.submit({"image_url": url}, query=f"?fal_webhook={receiver.url}", **headers)).json()
    )


async def test_signed_webhook_carries_the_result(emulator: RunningEmulator, receiver: Receiver) -> None:
    submitted = await _submit(emulator, receiver, await emulator.upload(picture()))
    headers, body = await receiver.received.get()
    result = await emulator.http.get(submitted["response_url"])
    await _verify(emulator, headers, body)

    payload = msgspec.json.decode(body)
    assert payload["request_id"] == payload["gateway_request_id"] == submitted["request_id"]
    assert payload["status"] == "OK"
    assert payload["payload"] == result.json()
    with pytest.raises(InvalidSignature):
        await _verify(emulator, headers, body + b" ")


async def test_refused_webhook_is_sent_again(emulator: RunningEmulator, receiver: Receiver) -> None:
    receiver.statuses = [500]
    await _submit(emulator, receiver, "data:,bad")
    bodies = [(await receiver.received.get())[1] for _ in range(2)]

    assert bodies[0] == bodies[1]
    assert b'"status":"ERROR"' in bodies[0]


async def test_webhook_comes_although_the_reply_was_lost(
    emulator: RunningEmulator, receiver: Receiver
) -> None:
    reply = await emulator.submit(
        {"image_url": "data:,x"}, query=f"?fal_webhook={receiver.url}", x_emulator_fault="malformed"
    )
    headers, _ = await receiver.received.get()

    assert reply.status_code == 200
    assert headers["X-Fal-Webhook-Request-Id"] == emulator.state.ledger.generations[0].request_id


async def test_webhook_that_is_no_url_is_refused(emulator: RunningEmulator) -> None:
    reply = await emulator.submit({"image_url": "data:,x"}, query="?fal_webhook=ftp://x")

    assert reply.status_code == 400
