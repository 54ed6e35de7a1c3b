"""Is the store written in the newest data version, and what holds it back?

Who calls it: the examination, once Redis has answered.
"""

from typing import Final

from redis.asyncio import Redis

from image2model.cli.commands.upgrade import words_of
from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.cli.doctor.store_check import no_answer
from image2model.errors import ConfigurationError
from image2model.store.connection import StoreOutage
from image2model.store.identity import settle

_PART: Final = "upgrade"


async def check_version(redis: Redis) -> list[Finding]:
    """One finding."""
    try:
        upgrade = await settle(redis)
    except ConfigurationError as error:
        return [broken(_PART, error.problems[0], "start the release that wrote it")]
    except StoreOutage as error:
        return [no_answer(_PART, error)]
    if upgrade.done and not upgrade.workers:
        return [ok(_PART, words_of(upgrade))]
    if upgrade.done:
        return [warning(_PART, words_of(upgrade), "end it: it fails on what it reads")]
    advice = "end the processes of the earlier release; `image2model upgrade --force` does not wait for them"
    return [warning(_PART, words_of(upgrade), advice)]
