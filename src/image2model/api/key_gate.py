"""`I2M_AUTH=keys`: a request is its key's, and nobody's without one.

Who calls it: the application's state. Each request asks the store, together with all others of that
moment: nothing is remembered, so that a revoked key opens nothing from the next request on.
"""

import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from starlette.types import Scope

from image2model.api import same_origin
from image2model.api.credentials import credential_of, unauthenticated
from image2model.api.principal import Principal
from image2model.api.rate_guard import RateGuard, address
from image2model.api.stream_guard import StreamGuard
from image2model.settings import Settings
from image2model.store.accounts import AddressCap, Allowance
from image2model.store.api_keys import Budget, digest
from image2model.store.heads import JobHead
from image2model.store.lookups import Credential, KeyFound, Lookups

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ADMIN: Final = "admin"


class KeyGate:
    """Belongs to one event loop."""

    def __init__(self, lookups: Lookups, rates: RateGuard, settings: Settings) -> None:
        self._lookups = lookups
        self._streams = StreamGuard(self.still_good)
        self._rates = rates
        self._rate = settings.rate_limit
        self._max_queued = settings.max_queued
        self._address_max_queued = settings.address_max_queued
        self._admin = digest(settings.admin_key) if settings.admin_key else ""

    async def authenticate(self, scope: Scope) -> Principal:
        """Raises Unauthenticated, Forbidden, and RateLimited for an address that guesses."""
        credential = credential_of(scope)
        return await self._principal(scope, credential, await self._lookups.key(credential))

    async def with_job(self, scope: Scope, job_id: str) -> tuple[Principal, JobHead | None]:
        """The caller and the head of the job that it names, in one round trip."""
        credential = credential_of(scope)
        found, head = await self._lookups.both(credential, job_id)
        return await self._principal(scope, credential, found), head

    async def sign_in(self, scope: Scope, secret: str) -> Principal:
        """Whose key this is. Raises Unauthenticated, and RateLimited for an address that guesses."""
        credential = Credential("key", digest(secret))
        return await self._principal(scope, credential, await self._lookups.key(credential))

    async def count(self, scope: Scope, principal: Principal) -> None:
        """Count a request, for its key and its address. Raises RateLimited."""
        await self._rates.count(scope, principal.key, principal.rate or self._rate)

    def watching(self, principal: Principal, sever: Callable[[], None]) -> AbstractContextManager[None]:
        """For the life of a stream: `sever` is called when the caller is no longer let in."""
        if principal.credential is None:
            return nullcontext()
        return self._streams.watching(principal.credential, sever)

    async def still_good(self, credential: Credential) -> bool:
        """Whether a credential that was good still is."""
        found = await self._lookups.key(credential)
        return found.good or self._is_admin(found.digest)

    async def _principal(self, scope: Scope, credential: Credential, found: KeyFound) -> Principal:
        if found.good:
            principal = self._of_key(scope, credential, found)
        elif self._is_admin(found.digest):
            if credential.kind == "key":  # a person chose it: it can be guessed, as no session can
                await self._rates.refuse_guessers(scope)
            principal = self._of_admin(scope, credential, found)
        else:
            await self._rates.count_guess(scope)
            raise unauthenticated(_REFUSALS[credential.kind])
        if credential.kind == "session" and scope["method"] not in _SAFE:
            same_origin.check(scope)
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
        """A key that may have more images than an address in general is not held back by its address."""
        most = self._max_queued if max_queued is None else max_queued
        held = most <= self._address_max_queued
        place = AddressCap(address(scope), self._address_max_queued) if held else None
        return Allowance(key=key, max_queued=most, budget=budget, address=place)


_REFUSALS: Final = {
    "key": "This API key is not known, or no longer valid.",
    "session": "This session has ended. Sign in again with an API key.",
}
