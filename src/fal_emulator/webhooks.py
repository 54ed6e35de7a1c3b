"""Delivers the webhook of a generation that ended, again and again with growing gaps, up to a bound.

Told by the state about every end; sends in a few threads of its own, so that a slow receiver delays no model.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec

from fal_emulator.generation import Answer, Generation
from fal_emulator.outbound import OutboundError, post
from fal_emulator.signing import Signer

LONGEST_GAP = 60.0
"""Seconds between two attempts at most."""


class Webhooks:
    """`attempts` in all; `backoff` seconds after the first, doubled after each."""

    def __init__(self, signer: Signer, attempts: int, backoff: float) -> None:
        self._signer = signer
        self._attempts = attempts
        self._backoff = backoff
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="webhook")
        self._deliveries: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Stop delivering."""
        for delivery in self._deliveries:
            delivery.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def deliver(self, generation: Generation) -> None:
        """Start the delivery, if a webhook was asked for."""
        if generation.webhook is None or generation.answer is None:
            return
        body = msgspec.json.encode(_payload(generation, generation.answer))
        delivery = asyncio.create_task(self._deliver(generation.webhook, generation.request_id, body))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, url: str, request_id: str, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        for attempt in range(self._attempts):
            if await loop.run_in_executor(self._threads, self._send, url, request_id, body):
                return
            await asyncio.sleep(min(LONGEST_GAP, self._backoff * 2**attempt))

    def _send(self, url: str, request_id: str, body: bytes) -> bool:
        headers = {"Content-Type": "application/json", **self._signer.headers(request_id, body)}
        try:
            return 200 <= post(url, body, headers) < 300
        except OutboundError:
            return False


def valid_webhook(url: str) -> bool:
    """Whether it could be delivered to at all."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _payload(generation: Generation, answer: Answer) -> dict[str, object]:
    payload: dict[str, object] = {
        "request_id": generation.request_id,
        "gateway_request_id": generation.request_id,
        "status": "OK" if answer.error is None else "ERROR",
        "payload": answer.body,
    }
    if answer.error is not None:
        payload["error"] = answer.error
    return payload
