"""Rate limits by the generic cell rate algorithm, shared by all processes.

One script examines several buckets and takes from all of them or from none. A bucket is a single number: the
time when it will be full again. There is no fixed window, so no window's edge lets twice the rate through.
Requests with unknown keys are counted in the process while the store refuses writes.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
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
_MAX_BUCKETS: Final = 10_000
"""Buckets kept; beyond this the least recently used one is dropped."""
_ADDRESSES_KEPT: Final = 4_096
GUESSES: Final[Rate] = (100, 60)
"""Requests with unknown keys that one address may send."""
_NETWORK_BITS: Final = 64
"""An IPv6 customer usually has a /64 network, so that network counts as one address."""


class Bucket(msgspec.Struct, frozen=True):
    """One limit: `name` identifies it, `rate` is the requests and the seconds in which they may be made."""

    name: str
    rate: Rate


class BucketState(msgspec.Struct, frozen=True, array_like=True):
    """The state of a bucket. `allowed`: the request fits; `remaining`: how many more fit now; times in ms."""

    allowed: bool
    remaining: int
    reset_ms: int
    retry_ms: int


_states = msgspec.msgpack.Decoder(list[BucketState])


class RateGuard:
    """Counts requests in the store; counts guesses in this process while the store refuses writes."""

    def __init__(self, redis: Redis, address_rate: Rate) -> None:
        self._redis = redis
        self._address_rate = address_rate
        self._local = LocalBuckets()

    async def count(self, scope: Scope, key: str, rate: Rate) -> None:
        """Count one request of a key from an address. Raises RateLimited, StoreOutage.

        A key with a higher rate than the address rate is not held to the address rate.
        """
        buckets = [Bucket(f"key:{key}", rate)]
        if _per_second(rate) <= _per_second(self._address_rate):
            buckets.append(Bucket(f"address:{address(scope)}", self._address_rate))
        states = await take(self._redis, buckets)
        scope[RESPONSE_HEADERS] = _headers(rate, states[0])
        self._check(states, "Too many requests. Wait, then send the request again.")

    async def count_guess(self, scope: Scope) -> None:
        """Count a request with an unknown key. Raises RateLimited."""
        await self._guess(scope, peek=False)

    async def refuse_guessers(self, scope: Scope) -> None:
        """Raises RateLimited for an address that has sent too many unknown keys."""
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
        if not all(state.allowed for state in states):
            raise RateLimited.after(detail, max(1, math.ceil(wait_ms / 1000)))


def address(scope: Scope) -> str:
    """What counts as one address: an IPv4 address, or the /64 network of an IPv6 address."""
    client = scope.get("client")
    return _counted_as(client[0]) if client else "local"


@lru_cache(maxsize=_ADDRESSES_KEPT)
def _counted_as(host: str) -> str:
    """Kept, because the same clients ask again, and reading an address took 4 % of a status request."""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return "local"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


async def take(redis: Redis, buckets: Sequence[Bucket], *, peek: bool = False) -> list[BucketState]:
    """Take one from each bucket if all of them have one. `peek`: take nothing. Raises StoreOutage."""
    packed = [(bucket.name, bucket.rate[0], bucket.rate[1] * 1000) for bucket in buckets]
    return _states.decode(await _TAKE.packed(redis, packed, peek))


class LocalBuckets:
    """The same algorithm in this process's memory. Belongs to one event loop."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, bucket: Bucket, *, peek: bool = False) -> BucketState:
        """Take one from the bucket if it has one. `peek`: take nothing."""
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
        while len(self._full_at) > _MAX_BUCKETS:
            self._full_at.popitem(last=False)


def _per_second(rate: Rate) -> float:
    return rate[0] / rate[1]


def _headers(rate: Rate, state: BucketState) -> list[tuple[bytes, bytes]]:
    policy = f'"key";q={rate[0]};w={rate[1]}'
    limit = f'"key";r={state.remaining};t={math.ceil(state.reset_ms / 1000)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]
