"""A service of real processes whose API asks for keys. Who uses it: tests of costs and of second steps."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.callers import ADMIN, Caller
from tests.support.fleet import Fleet
from tests.support.served_api import Service
from tests.support.wait import until


@dataclass(frozen=True)
class KeyedWorld:
    """The parts. `settings` are those that every process gets; the test starts the worker."""

    fleet: Fleet
    service: Service
    settings: dict[str, str]

    @property
    def admin(self) -> Caller:
        return Caller(self.service, ADMIN)

    def caller(self, **options: Any) -> Caller:
        """Somebody with a new key."""
        made = self.admin.post("admin/keys", json.dumps({"name": "ann", **options}).encode())
        assert made.status == 201, made.body
        return Caller(self.service, made.text("key"), made.text("key_id"), made.text("owner"))

    async def ended(self, caller: Caller, job_id: str) -> dict[str, Any]:
        """The job's document once all of it has ended."""

        async def over() -> bool:
            return caller.get(f"status/{job_id}").body["finished_at"] is not None

        await until(over, timeout=60)
        return caller.get(f"status/{job_id}").body
