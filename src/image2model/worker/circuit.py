"""Opens and closes the circuit between us and FAL.

Who calls it: `generate` reports faults, the process runs the probe. While it is open no image is sent.
"""

import asyncio
from typing import Final

import structlog

from image2model.domain import WaitingFor
from image2model.errors import FalAccountFault, FalError
from image2model.store import pause
from image2model.store.connection import StoreOutage
from image2model.worker.context import WorkerContext

_log = structlog.get_logger("worker.circuit")

_LOOK_S: Final = 0.5


async def report(context: WorkerContext, failure: FalError) -> bool:
    """Count a failure that is no image's fault; whether generations are paused now."""
    reason = WaitingFor.ACCOUNT if isinstance(failure, FalAccountFault) else WaitingFor.FAL
    paused = await pause.record_fault(context.redis, reason)
    if paused:
        _log.error("generations are paused", waiting_for=reason.value, reason=failure.message)
    return paused


async def probe_forever(context: WorkerContext) -> None:
    """While the circuit is open: probe FAL for free, and where it is well let one image try."""
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            if await pause.claim_probe(context.redis):
                health = await context.fal.probe()
                _log.info("probed FAL", ok=health.ok, detail=health.detail)
                if health.ok:
                    await pause.allow_trial(context.redis)
        except StoreOutage as error:
            _log.warning("could not probe", error=str(error))
