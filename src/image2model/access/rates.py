"""Rate limits: buckets that fill up steadily, shared by all processes.

Who calls it: the API's gate. One script looks at several buckets and takes from all of them or none.
The generic cell rate algorithm keeps one number for a bucket, and has no window at whose edge twice as
much could pass.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic
from typing import Final

import msgspec
from redis.asyncio import Redis
from starlette.types import Scope

from image2model.access.keys import Rate
from image2model.errors import RateLimited
from image2model.http.bodies import RESPONSE_HEADERS
from image2model.store.condition import REFUSES_WRITES, condition_of
from image2model.store.connection import StoreOutage
from image2model.store.scripts import Script

_TAKE: Final = Script("access/take_rate")


class Bucket(msgspec.Struct, frozen=True):
    """`name` says whose it is; `rate` how many requests in how many seconds."""

    name: str
    rate: Rate


class BucketState(msgspec.Struct, frozen=True, array_like=True):
    """What a bucket said. `may`: it had one to give; `remaining` holds now; times in ms."""

    may: bool
    remaining: int
    reset_ms: int
    retry_ms: int


_states = msgspec.msgpack.Decoder(list[BucketState])


async def take(redis: Redis, buckets: Sequence[Bucket], *, peek: bool = False) -> list[BucketState]:
    """Take one from each bucket, if all have one. `peek`: only look. Raises StoreOutage."""
    asked = [(bucket.name, bucket.rate[0], bucket.rate[1] * 1000) for bucket in buckets]
    return _states.decode(await _TAKE.packed(redis, asked, peek))


_MOST: Final = 10_000
"""Buckets kept; beyond it the one used longest ago is forgotten."""


class LocalRates:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, bucket: Bucket, *, peek: bool = False) -> BucketState:
        """Take one from the bucket, if it has one. `peek`: only look."""
        count, period = bucket.rate
        now = monotonic()
        full_at = max(self._full_at.get(bucket.name, now), now)
        retry = max(0.0, full_at + period / count - period - now)
        if not retry and not peek:
            full_at += period / count
            self._keep(bucket.name, full_at)
        remaining = math.floor((now + period - full_at) * count / period + 1e-6)
        return BucketState(
            retry == 0, max(0, remaining), math.ceil((full_at - now) * 1000), math.ceil(retry * 1000)
        )

    def _keep(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        while len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)


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
        states = await take(self._redis, buckets)
        scope[RESPONSE_HEADERS] = _headers(rate, states[0])
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
            states += await take(self._redis, [bucket], peek=peek)
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
