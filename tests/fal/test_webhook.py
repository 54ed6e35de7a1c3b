"""FAL's webhooks: only what FAL signed, in time, is believed."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from image2model.fal.endpoints import DEFAULT_MODEL, View, payload
from image2model.fal.errors import FalUnreachable
from image2model.fal.gateway import FalGateway
from image2model.fal.webhooks import JwksCache, WebhookRejected, public_keys, verify_webhook
from image2model.fal.wire import Jwk, Jwks
from tests.fal.buyer import Buyer
from tests.support.endpoints import endpoint_of
from tests.support.raw_server import Exchange, raw_server

NOW = 1_800_000_000
BODY = b'{"request_id":"r1","status":"OK","payload":{"a":1}}'


class Signer:
    """A key pair that signs as FAL does."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    @property
    def jwk(self) -> Jwk:
        raw = self._key.public_key().public_bytes_raw()
        return Jwk(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())

    def headers(self, body: bytes = BODY, timestamp: int = NOW) -> dict[str, str]:
        digest = hashlib.sha256(body).hexdigest()
        message = f"r1\nu1\n{timestamp}\n{digest}".encode()
        return {
            "x-fal-webhook-request-id": "r1",
            "x-fal-webhook-user-id": "u1",
            "x-fal-webhook-timestamp": str(timestamp),
            "x-fal-webhook-signature": self._key.sign(message).hex(),
        }


SIGNER, OTHER = Signer(), Signer()
KEYS = public_keys(Jwks((OTHER.jwk, Jwk("not a key"), SIGNER.jwk)))


@pytest.mark.parametrize("skew", [0, 299, -299])
def test_signed_and_timely_is_accepted_by_any_of_the_keys(skew: int) -> None:
    verify_webhook(SIGNER.headers(timestamp=NOW + skew), BODY, KEYS, NOW)


@pytest.mark.parametrize("skew", [301, -301])
def test_too_old_or_from_the_future_is_refused(skew: int) -> None:
    with pytest.raises(WebhookRejected, match="timestamp"):
        verify_webhook(SIGNER.headers(timestamp=NOW + skew), BODY, KEYS, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request-id", "r2"),
        ("user-id", "u2"),
        ("timestamp", str(NOW + 1)),
        ("timestamp", "soon"),
        ("timestamp", "-5"),
        ("signature", "00" * 64),
        ("signature", "zz"),
        ("signature", ""),
    ],
)
def test_anything_changed_is_refused(name: str, value: str) -> None:
    with pytest.raises(WebhookRejected):
        verify_webhook({**SIGNER.headers(), f"x-fal-webhook-{name}": value}, BODY, KEYS, NOW)


def test_changed_body_is_refused() -> None:
    with pytest.raises(WebhookRejected):
        verify_webhook(SIGNER.headers(), BODY + b" ", KEYS, NOW)


class KeyHost:
    """Counts how often its keys are asked for."""

    def __init__(self, *keys: Jwk) -> None:
        self.keys = keys
        self.asked = 0
        self.away = False

    async def __call__(self) -> Jwks:
        self.asked += 1
        if self.away:
            raise FalUnreachable("FAL is away")
        return Jwks(self.keys)


async def test_keys_are_fetched_once_a_day() -> None:
    host = KeyHost(SIGNER.jwk)
    cache = JwksCache(host)
    for now in (NOW, NOW + 3600, NOW + 86_000):
        assert (await cache.verified(SIGNER.headers(timestamp=now), BODY, now)).request_id == "r1"
    assert host.asked == 1
    late = NOW + 90_000
    await cache.verified(SIGNER.headers(timestamp=late), BODY, late)
    assert host.asked == 2


async def test_new_key_is_looked_for_but_strangers_cannot_make_us_ask_often() -> None:
    host = KeyHost(OTHER.jwk)
    cache = JwksCache(host)
    for _ in range(50):
        with pytest.raises(WebhookRejected):
            await cache.verified(SIGNER.headers(), BODY, NOW)
    assert host.asked == 1
    host.keys = (SIGNER.jwk,)
    await cache.verified(SIGNER.headers(timestamp=NOW + 61), BODY, NOW + 61)
    assert host.asked == 2


async def test_unsigned_bodies_do_not_make_us_ask_for_keys() -> None:
    host = KeyHost(SIGNER.jwk)
    old = SIGNER.headers(timestamp=NOW - 1000)
    no_number = {**SIGNER.headers(), "x-fal-webhook-signature": "not hexadecimal"}
    for headers in ({}, old, no_number):
        with pytest.raises(WebhookRejected):
            await JwksCache(host).verified(headers, BODY, NOW)
    assert host.asked == 0


async def test_while_keys_are_not_to_be_had_only_one_in_five_seconds_asks() -> None:
    """Strangers would otherwise queue up, each to wait for an attempt of its own, and FAL behind them."""
    host = KeyHost(SIGNER.jwk)
    host.away = True
    cache = JwksCache(host)
    for _ in range(50):
        with pytest.raises(FalUnreachable):
            await cache.verified(SIGNER.headers(), BODY, NOW)
    assert host.asked == 1
    host.away = False
    later = NOW + 5
    assert (await cache.verified(SIGNER.headers(timestamp=later), BODY, later)).request_id == "r1"


async def test_verified_body_that_is_no_webhook_is_refused() -> None:
    with pytest.raises(WebhookRejected, match="body"):
        await JwksCache(KeyHost(SIGNER.jwk)).verified(SIGNER.headers(b"[]"), b"[]", NOW)


async def test_the_emulators_webhook_verifies(fal: FalGateway, buyer: Buyer) -> None:
    async def hook(exchange: Exchange) -> None:
        await exchange.reply("200 OK")

    async with raw_server(hook) as server:
        await buyer.upload()
        request = await fal.submit(
            DEFAULT_MODEL,
            payload(endpoint_of(DEFAULT_MODEL), "chair", [View(buyer.image_url)], {}),
            tags={},
            webhook_url=f"{server.url}/hook",
            before_send=buyer.mark,
        )
        await buyer.follow(request)
        await server.arrived.wait()
        [call] = server.requests
    names = ("request-id", "user-id", "timestamp", "signature")
    headers = {f"x-fal-webhook-{name}": call.header(f"x-fal-webhook-{name}") or "" for name in names}
    now = float(headers["x-fal-webhook-timestamp"])
    webhook = await JwksCache(fal.webhook_keys).verified(headers, call.body, now)
    assert (webhook.request_id, webhook.status) == (request.request_id, "OK")
