"""All checks in their order; a later one is left out where an earlier one says why it cannot work.

Who calls it: the command.
"""

import asyncio

from image2model.cli.doctor.fal_check import check_fal
from image2model.cli.doctor.finding import Finding, State, broken, ok, warning
from image2model.cli.doctor.storage_check import check_storage
from image2model.cli.doctor.store_check import check_store
from image2model.cli.doctor.version_check import check_version
from image2model.cli.doctor.webhook_check import check_webhooks
from image2model.cli.doctor.workers_check import check_workers
from image2model.cli.local_store import store_url
from image2model.errors import ConfigurationError
from image2model.settings import Settings, load, unknown_names
from image2model.store.connection import connect


async def examine() -> list[Finding]:
    """Everything that was found, good and bad."""
    try:
        settings = load()
    except ConfigurationError as error:
        return [broken("settings", problem, "correct it") for problem in error.problems]
    fal, storage, store = await asyncio.gather(
        check_fal(settings), check_storage(settings.storage_url), _store_and_workers(settings)
    )
    return [*_names(), *store, *storage, *fal]


def _names() -> list[Finding]:
    unknown = unknown_names()
    if not unknown:
        return [ok("settings", "every value can be read")]
    return [warning("settings", f"{name} is no setting", "look for a misspelling") for name in unknown]


async def _store_and_workers(settings: Settings) -> list[Finding]:
    url = await asyncio.to_thread(store_url, settings)
    if url is None:
        return [
            broken(
                "redis",
                f"I2M_REDIS_URL is not set, and no `up` runs on {settings.data_dir}",
                "start `image2model up`, or set I2M_REDIS_URL for a service of several processes",
            )
        ]
    async with connect(url) as redis:
        findings = await check_store(redis)
        if findings[0].state is State.OK:
            findings += await check_version(redis)
            findings += await check_workers(redis)
            findings += await check_webhooks(redis, settings)
    return findings
