"""One call to a receiver: whom it reaches, whom it never reaches, and how long it may take."""

from pathlib import Path

import pytest

from image2model.webhooks.deliver import Outcome, WebhookSender
from tests.support.raw_server import Exchange, never
from tests.support.webhook_receiver import NAME, answering, certificate, receiving, resolving, trusting

LOOPBACK = frozenset({"127.0.0.1"})
"""What counts as public here, so that nothing leaves this machine."""


async def call(sender: WebhookSender, url: str) -> Outcome:
    async with sender:
        return await sender.post(url, {"webhook-id": "1"}, b"{}")


async def test_https_reaches_the_checked_address_under_the_hosts_name(tmp_path: Path) -> None:
    cert = certificate(tmp_path)
    async with receiving(answering("200 OK"), cert=cert) as receiver:
        lookup = resolving(["10.0.0.1", "127.0.0.1", "::1"])
        sender = WebhookSender(
            allow_private=False, lookup=lookup, allows=LOOPBACK.__contains__, tls=trusting(cert)
        )
        outcome = await call(sender, f"https://{NAME}:{receiver.port}/hook?a=b")
    assert (outcome.status, outcome.error) == (200, None)
    assert receiver.names == [NAME]
    (request,) = receiver.requests
    assert request.request_line == "POST /hook?a=b HTTP/1.1"
    assert request.header("Host") == f"{NAME}:{receiver.port}"
    assert request.header("webhook-id") == "1"
    assert request.header("Content-Type") == "application/json"
    assert request.body == b"{}"


async def test_unknown_certificate_is_not_called(tmp_path: Path) -> None:
    async with receiving(answering("200 OK"), cert=certificate(tmp_path)) as receiver:
        lookup = resolving(["127.0.0.1"])
        sender = WebhookSender(allow_private=False, lookup=lookup, allows=LOOPBACK.__contains__)
        outcome = await call(sender, f"https://{NAME}:{receiver.port}/")
    assert outcome.status is None
    assert outcome.error is not None
    assert outcome.error.startswith("TLS failed")
    assert receiver.requests == []


async def test_name_that_turns_private_is_not_followed_there(tmp_path: Path) -> None:
    """DNS rebinding: the first answer passes the check, the second one is the target."""
    cert = certificate(tmp_path)
    async with (
        receiving(answering("500 No"), cert=cert) as public,
        receiving(answering("200 OK"), cert=cert, host="127.0.0.2", port=public.port) as private,
    ):
        lookup = resolving(["127.0.0.1"], ["127.0.0.2"])
        sender = WebhookSender(
            allow_private=False, lookup=lookup, allows=LOOPBACK.__contains__, tls=trusting(cert)
        )
        async with sender:
            first = await sender.post(f"https://{NAME}:{public.port}/", {}, b"{}")
            assert lookup.asked == [NAME]  # asked once: what was checked is what is called
            second = await sender.post(f"https://{NAME}:{public.port}/", {}, b"{}")
    assert first.status == 500
    assert second.status is None
    assert second.error == "the address is not a public internet address"
    assert len(public.requests) == 1
    assert private.requests == []
    assert private.names == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433"]
)
async def test_private_address_is_never_connected_to(host: str, tmp_path: Path) -> None:
    async with receiving(answering("200 OK"), cert=certificate(tmp_path)) as receiver:
        outcome = await call(WebhookSender(allow_private=False), f"https://{host}:{receiver.port}/")
    assert outcome.status is None
    assert outcome.error is not None
    assert "public internet address" in outcome.error
    assert receiver.names == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
async def test_name_of_a_private_address_is_never_connected_to(address: str) -> None:
    sender = WebhookSender(allow_private=False, lookup=resolving([address]))
    outcome = await call(sender, f"https://{NAME}/")
    assert outcome.error == "the address is not a public internet address"


async def test_redirect_is_not_followed() -> None:
    async with receiving(answering("200 OK")) as target:

        async def redirect(exchange: Exchange) -> None:
            await exchange.reply("307 Temporary Redirect", Location=target.url)

        async with receiving(redirect) as receiver:
            outcome = await call(WebhookSender(allow_private=True), receiver.url)
    assert outcome.status == 307
    assert outcome.error == "answered 307; redirects are not followed"
    assert target.requests == []


async def test_silent_receiver_ends_at_the_deadline() -> None:
    async with receiving(never) as receiver:
        outcome = await call(WebhookSender(allow_private=True, deadline_s=0.3), receiver.url)
    assert (outcome.status, outcome.error) == (None, "no answer in time")
    assert 250 < outcome.duration_ms < 5000


async def test_endless_answer_is_not_read() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    async with receiving(endless) as receiver:
        outcome = await call(WebhookSender(allow_private=True), receiver.url)
    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.duration_ms < 5000


async def test_http_is_refused_where_private_addresses_are() -> None:
    async with receiving(answering("200 OK")) as receiver:
        sender = WebhookSender(
            allow_private=False, lookup=resolving(["127.0.0.1"]), allows=LOOPBACK.__contains__
        )
        outcome = await call(sender, f"http://{NAME}:{receiver.port}/")
    assert outcome.error == "`webhook_url` must be an absolute https URL."
    assert receiver.requests == []


async def test_nobody_there_is_no_connection() -> None:
    async with receiving(answering("200 OK")) as receiver:
        url = receiver.url
    outcome = await call(WebhookSender(allow_private=True), url)
    assert (outcome.status, outcome.error) == (None, "no connection")


async def test_nonsense_in_place_of_http_is_a_failed_call() -> None:
    async with receiving(lambda exchange: exchange.send(b"\x00\x01 nonsense\r\n\r\n")) as receiver:
        outcome = await call(WebhookSender(allow_private=True), receiver.url)
    assert outcome.status is None
    assert outcome.error is not None
