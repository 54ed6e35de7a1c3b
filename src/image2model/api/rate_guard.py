"""Rate limits at the door: what a key and an address may ask for, and how often an address may guess.

Who calls it: the gate. Headers are those of draft-ietf-httpapi-ratelimit-headers-10; every answer to a
counted request carries them.
"""

import ipaddress
import math
from typing import Final

from redis.asyncio import Redis
from starlette.types import Scope

from image2model.api.answers import ANSWER_HEADERS
from image2model.api.local_rates import LocalRates
from image2model.errors import RateLimited
from image2model.store import rates
from image2model.store.api_keys import Rate
from image2model.store.condition import REFUSES_WRITES, condition_of
from image2model.store.connection import StoreOutage
from image2model.store.rates import Bucket, BucketState

GUESSES: Final[Rate] = (100, 60)
"""Unknown keys that one address may present."""
_NETWORK_BITS: Final = 64
"""An IPv6 customer has so many bits to choose addresses from."""


class RateGuard:
    """Counts in the store, for all processes together. Guesses are counted here while it takes no writes."""

    def __init__(self, redis: Redis, address_rate: Rate) -> None:
        self._redis = redis
        self._address_rate = address_rate
        self._local = LocalRates()

    async def count(self, scope: Scope, key: str, rate: Rate) -> None:
        """One request of a key, from an address. Raises RateLimited.

        A key that may do more than an address in general is not held back by its address.
        """
        buckets = [Bucket(f"key:{key}", rate)]
        if _a_second(rate) <= _a_second(self._address_rate):
            buckets.append(Bucket(f"address:{address(scope)}", self._address_rate))
        states = await rates.take(self._redis, buckets)
        scope[ANSWER_HEADERS] = _headers(rate, states[0])
        self._check(states, "Too many requests. Wait, then send it again.")

    async def count_guess(self, scope: Scope) -> None:
        """A key that is not known. Raises RateLimited."""
        await self._guess(scope, peek=False)

    async def refuse_guessers(self, scope: Scope) -> None:
        """Raises RateLimited for an address that has presented too many unknown keys."""
        await self._guess(scope, peek=True)

    async def _guess(self, scope: Scope, *, peek: bool) -> None:
        bucket = Bucket(f"guess:{address(scope)}", GUESSES)
        states = [self._local.take(bucket, peek=True)]
        try:
            states += await rates.take(self._redis, [bucket], peek=peek)
        except StoreOutage as error:
            if condition_of(error) not in REFUSES_WRITES:
                raise
            states = [self._local.take(bucket, peek=peek)]
        self._check(states, "Too many unknown keys from this address. Wait, then try again.")

    def _check(self, states: list[BucketState], detail: str) -> None:
        wait_ms = max(state.retry_ms for state in states)
        if not all(state.may for state in states):
            raise RateLimited.after(detail, max(1, math.ceil(wait_ms / 1000)))


def address(scope: Scope) -> str:
    """Who counts as one: an IPv4 address, or an IPv6 network of one customer."""
    client = scope.get("client")
    if not client:
        return "local"
    try:
        parsed = ipaddress.ip_address(client[0])
    except ValueError:
        return "local"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _a_second(rate: Rate) -> float:
    return rate[0] / rate[1]


def _headers(rate: Rate, state: BucketState) -> list[tuple[bytes, bytes]]:
    policy = f'"key";q={rate[0]};w={rate[1]}'
    limit = f'"key";r={state.remaining};t={math.ceil(state.reset_ms / 1000)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]
