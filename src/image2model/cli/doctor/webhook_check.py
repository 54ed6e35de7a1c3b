"""Which secret signs outgoing webhooks?

Who calls it: the examination, once Redis has answered. Receivers need the secret to check signatures, and
this is the one place that shows it.
"""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.cli.doctor.finding import Finding, ok, warning
from image2model.cli.doctor.store_check import no_answer
from image2model.settings import Settings
from image2model.store import secret

_PART: Final = "webhooks"


async def check_webhooks(redis: Redis, settings: Settings) -> list[Finding]:
    """The secret, and a warning where private addresses may be called."""
    try:
        key = await secret.webhook(redis, settings.webhook_secret)
    except RedisError as error:
        return [no_answer(_PART, error)]
    findings = [ok(_PART, f"signed with {key}")]
    if settings.webhook_allow_private:
        advice = "unset I2M_WEBHOOK_ALLOW_PRIVATE where clients are not trusted"
        findings.append(warning(_PART, "http and private addresses may be called", advice))
    return findings
