"""The checks of `doctor` on privacy at FAL: what FAL keeps, what the keys may do, what is left to delete."""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from image2model.cli.commands.doctor_findings import Finding, broken, ok, warning
from image2model.errors import FalError
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.fal.privacy import FalPrivacy
from image2model.generation import fal_deletions
from image2model.settings import Settings

_PRIVACY: Final = "privacy"
_PARTNERS: Final = "files on partners' hosts stay public"
_SECONDS_A_DAY: Final = 86_400
_ADMIN_ADVICE: Final = "set I2M_FAL_ADMIN_KEY to an admin key of your FAL account; nothing is lost meanwhile"
_SIGNING_ADVICE: Final = "give FAL_KEY the permission assets:read; without it no result can be fetched"


async def check_privacy(settings: Settings) -> list[Finding]:
    """What FAL keeps. Under `private` also whether FAL lets the keys sign and delete, at no cost."""
    days = f"{settings.fal_retention / _SECONDS_A_DAY:g} days"
    if settings.fal_privacy == "default":
        return [
            ok(_PRIVACY, "default: FAL keeps files as your account says, open to anyone who has an address")
        ]
    if settings.fal_privacy == "expire":
        about = f"files at FAL expire after {days}; until then, anyone who has an address can open it"
        return [ok(_PRIVACY, f"{about}; {_PARTNERS} for as long as the partner says")]
    about = f"results are restricted at FAL and deleted there, the rest expires after {days}; {_PARTNERS}"
    return [ok(_PRIVACY, about), *await _keys(settings)]


async def _keys(settings: Settings) -> list[Finding]:
    if settings.fal_key is None and settings.fal_base_url is None:
        return []  # `check_fal` names it
    key, hosts = settings.fal_key or "none:none", FalHosts.at(settings.fal_base_url)
    privacy = FalPrivacy(int(settings.fal_retention), restricted=True, admin_key=settings.fal_admin_key)
    findings = []
    try:
        async with FalGateway(key, hosts, privacy=privacy) as fal:
            refused = await fal.probe_admin_key()
            unsigned = await fal.probe_signing()
    except FalError as error:
        return [warning(_PRIVACY, f"FAL did not answer: {error.message}", "see the row about fal")]
    if refused is not None:
        findings.append(broken(_PRIVACY, f"FAL refuses the admin key: {refused}", _ADMIN_ADVICE))
    if unsigned is not None:
        findings.append(broken(_PRIVACY, unsigned, _SIGNING_ADVICE))
    return findings or [ok(_PRIVACY, "FAL signs addresses, and accepts the admin key")]


async def check_deletions(redis: Redis, settings: Settings) -> list[Finding]:
    """What is still to be deleted at FAL; nothing where nothing ever was."""
    try:
        state = await fal_deletions.read(redis)
    except RedisError as error:
        return [
            broken(_PRIVACY, f"the list of deletions cannot be read: {error}", "see the rows about redis")
        ]
    if state.pending and settings.fal_admin_key is None:
        detail = f"{state.pending} requests are still to be deleted at FAL"
        return [warning(_PRIVACY, detail, "set I2M_FAL_ADMIN_KEY until they are")]
    if state.refused:
        detail = f"FAL refuses the admin key ({state.refused}); {state.pending} requests wait to be deleted"
        return [broken(_PRIVACY, detail, _ADMIN_ADVICE)]
    if state.failing:
        detail = f"{state.failing} requests could not be deleted at FAL yet: {state.last_error}"
        return [warning(_PRIVACY, detail, "wait: they are tried again until they are gone")]
    if state.done or state.pending:
        return [ok(_PRIVACY, f"{state.done} requests deleted at FAL, {state.pending} to go")]
    return []
