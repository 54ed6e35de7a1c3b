"""The part of a process's state that every handler may use: settings, store, gate and rate limits.

`state_of` finds the state of the process that serves a request, typed as the caller's package needs it.
"""

from dataclasses import dataclass
from typing import TypeVar, cast

from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from image2model.access.principal import Authenticate, Gate
from image2model.access.rates import RateGuard
from image2model.settings import Settings

S = TypeVar("S", bound="AccessState")


@dataclass(frozen=True, kw_only=True)
class AccessState:
    """Shared by all requests of one process."""

    settings: Settings
    redis: Redis
    gate: Gate
    rates: RateGuard

    @property
    def authenticate(self) -> Authenticate:
        """Finds the principal of a request."""
        return self.gate.authenticate


def state_of(connection: HTTPConnection, kind: type[S]) -> S:
    """The state of the process that serves this request, as `kind`, the part that the caller uses."""
    del kind
    return cast("S", connection.scope["state"]["api"])
