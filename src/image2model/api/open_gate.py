"""`I2M_AUTH=none`: everybody who reaches the service is its one owner, and may do everything.

Who calls it: the application's state. Other sites are kept out by `SiteGuard`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from starlette.types import Scope

from image2model.api.principal import Principal
from image2model.store.heads import JobHead
from image2model.store.lookups import Lookups

LOCAL: Final = Principal(owner="local", role="admin", name="local")


class OpenGate:
    """No keys, no limits."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    async def authenticate(self, _scope: Scope) -> Principal:
        """The one owner."""
        return LOCAL

    async def with_job(self, _scope: Scope, job_id: str) -> tuple[Principal, JobHead | None]:
        """The one owner, and the job's head."""
        return LOCAL, await self._lookups.job(job_id)

    async def sign_in(self, _scope: Scope, _secret: str) -> Principal:
        """The one owner."""
        return LOCAL

    def watching(self, _principal: Principal, _sever: Callable[[], None]) -> AbstractContextManager[None]:
        """Nobody is ever turned away."""
        return nullcontext()

    async def count(self, _scope: Scope, _principal: Principal) -> None:
        """Nothing is counted."""
