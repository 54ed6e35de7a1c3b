"""The gates that authenticate requests: `KeyGate` for keys and sessions, `OpenGate` for `I2M_AUTH=none`.

Under `none` every caller is the one owner `local` with role `admin` and without limits; the middleware
`SiteGuard` then keeps other web sites out. `StreamGuard` ends open event streams within about a second after
their key or session was revoked.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Final

import structlog
from starlette.types import Scope

from image2model.access import sessions
from image2model.access.accounts import AddressCap, Allowance
from image2model.access.keys import Budget, digest
from image2model.access.lookup import Credential, JobLookup, KeyFound, Lookups
from image2model.access.principal import Principal, credential_of, unauthenticated
from image2model.access.rates import RateGuard, address
from image2model.settings import Settings
from image2model.store.connection import StoreOutage
from image2model.telemetry.unexpected import report_unexpected

_log: Final = structlog.stdlib.get_logger(__name__)
LOCAL: Final = Principal(owner="local", role="admin", name="local")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ADMIN: Final = "admin"
_REFUSALS: Final = {
    "key": "This API key is unknown or no longer valid.",
    "session": "This session has ended. Sign in again with an API key.",
}
_CHECK_EVERY_S: Final = 1.0
Abort = Callable[[], None]


class KeyGate:
    """`I2M_AUTH=keys`: API keys, sessions of the page, and the admin key. Belongs to one event loop."""

    def __init__(self, lookups: Lookups, rates: RateGuard, settings: Settings) -> None:
        self._lookups = lookups
        self._streams = StreamGuard(self.is_still_valid)
        self._rates = rates
        self._rate = settings.rate_limit
        self._max_queued = settings.max_queued
        self._address_max_queued = settings.address_max_queued
        self._admin = digest(settings.admin_key) if settings.admin_key else ""

    async def authenticate(self, scope: Scope) -> Principal:
        """Raises Unauthenticated, Forbidden, and RateLimited for an address that guesses."""
        credential = credential_of(scope)
        return await self._principal(scope, credential, await self._lookups.key(credential))

    async def authenticate_with_job(self, scope: Scope, job_id: str) -> tuple[Principal, JobLookup | None]:
        """The caller and the lookup of the job, in one round trip. Raises as `authenticate` does."""
        credential = credential_of(scope)
        found, job = await self._lookups.both(credential, job_id)
        return await self._principal(scope, credential, found), job

    async def sign_in(self, scope: Scope, secret: str) -> Principal:
        """The principal of this key. Raises Unauthenticated, and RateLimited for an address that guesses."""
        credential = Credential("key", digest(secret))
        return await self._principal(scope, credential, await self._lookups.key(credential))

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request against the limits of its key and its address. Raises RateLimited."""
        await self._rates.count(scope, principal.key, principal.rate or self._rate)

    def watch_stream(self, principal: Principal, abort: Callable[[], None]) -> AbstractContextManager[None]:
        """While the block runs: call `abort` as soon as the caller's key or session is no longer valid."""
        if principal.credential is None:
            return nullcontext()
        return self._streams.watch_stream(principal.credential, abort)

    async def is_still_valid(self, credential: Credential) -> bool:
        """Whether a credential that was valid still is. Raises StoreOutage."""
        found = await self._lookups.key(credential)
        return found.valid or self._is_admin(found.digest)

    async def _principal(self, scope: Scope, credential: Credential, found: KeyFound) -> Principal:
        if found.valid:
            principal = self._of_key(scope, credential, found)
        elif self._is_admin(found.digest):
            if credential.kind == "key":  # a person chose this key, so it can be guessed; a session cannot
                await self._rates.refuse_guessers(scope)
            principal = self._of_admin(scope, credential, found)
        else:
            await self._rates.count_guess(scope)
            raise unauthenticated(_REFUSALS[credential.kind])
        if credential.kind == "session" and scope["method"] not in _SAFE:
            sessions.require_same_origin(scope)
        return principal

    def _is_admin(self, key_digest: str) -> bool:
        return bool(self._admin) and hmac.compare_digest(key_digest, self._admin)

    def _of_key(self, scope: Scope, credential: Credential, found: KeyFound) -> Principal:
        return Principal(
            owner=found.owner,
            role="admin" if found.role == "admin" else "user",
            name=found.key_id,
            key=found.digest,
            credential=credential,
            rate=found.rate,
            models=found.models,
            allowance=self._allowance(scope, found.digest, found.max_queued, found.budget),
        )

    def _of_admin(self, scope: Scope, credential: Credential, found: KeyFound) -> Principal:
        return Principal(
            owner=_ADMIN,
            role="admin",
            name=_ADMIN,
            key=found.digest,
            credential=credential,
            allowance=self._allowance(scope, "", None, None),
        )

    def _allowance(self, scope: Scope, key: str, max_queued: int | None, budget: Budget | None) -> Allowance:
        """A key with a higher limit than the address limit is not held to the address limit."""
        limit = self._max_queued if max_queued is None else max_queued
        capped = limit <= self._address_max_queued
        cap = AddressCap(address(scope), self._address_max_queued) if capped else None
        return Allowance(key=key, max_queued=limit, budget=budget, address=cap)


class OpenGate:
    """`I2M_AUTH=none`: no keys, no limits."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    async def authenticate(self, _scope: Scope) -> Principal:
        """The one owner."""
        return LOCAL

    async def authenticate_with_job(self, _scope: Scope, job_id: str) -> tuple[Principal, JobLookup | None]:
        """The one owner, and the job's lookup."""
        return LOCAL, await self._lookups.job(job_id)

    async def sign_in(self, _scope: Scope, _secret: str) -> Principal:
        """The one owner."""
        return LOCAL

    def watch_stream(self, _principal: Principal, _abort: Callable[[], None]) -> AbstractContextManager[None]:
        """Nothing can be revoked."""
        return nullcontext()

    async def count(self, _scope: Scope, _principal: Principal) -> None:
        """No rate limit applies."""


class StreamGuard:
    """Ends streams whose credential was revoked. Belongs to one event loop.

    It has a task only while streams are open.
    """

    def __init__(self, is_still_valid: Callable[[Credential], Awaitable[bool]]) -> None:
        self._is_still_valid = is_still_valid
        self._open: dict[Credential, set[Abort]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watch_stream(self, credential: Credential, abort: Abort) -> Iterator[None]:
        """While the block runs: call `abort` once the credential is no longer valid."""
        self._open.setdefault(credential, set()).add(abort)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=Context())
        try:
            yield
        finally:
            self._leave(credential, abort)

    def _leave(self, credential: Credential, abort: Abort) -> None:
        streams = self._open.get(credential, set())
        streams.discard(abort)
        if not streams:
            self._open.pop(credential, None)
        if not self._open and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            try:
                valid = await asyncio.gather(*map(self._is_still_valid, credentials := list(self._open)))
            except StoreOutage as error:  # no new event arrives either while the store is away
                _log.info("streams_not_checked", error=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - a guard that ends would leave later streams unwatched
                report_unexpected("loop:stream_guard", error)
                continue
            for credential in [
                one for one, still_valid in zip(credentials, valid, strict=True) if not still_valid
            ]:
                self._end(credential)

    def _end(self, credential: Credential) -> None:
        streams = list(self._open.get(credential, ()))
        _log.info("streams_ended", reason="the key or session is no longer valid", count=len(streams))
        for abort in streams:
            abort()
