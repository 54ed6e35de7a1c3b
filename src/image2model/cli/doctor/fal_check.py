"""Does FAL answer, and does it accept the key?

Who calls it: the examination. The question costs nothing; whether the balance is enough only a
generation can tell.
"""

from typing import Final

from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.fal.gateway import FalGateway
from image2model.fal.hosts import FalHosts
from image2model.settings import Settings

_PART: Final = "fal"
_ADVICE: Final = {
    "account": "set FAL_KEY to a key of your account",
    "endpoint": "other models may work; ask FAL for access to this one",
    "unreachable": "look at the network; FAL itself may be down",
}


async def check_fal(settings: Settings) -> list[Finding]:
    """One finding."""
    if settings.fal_key is None and settings.fal_base_url is None:
        return [warning(_PART, "no FAL_KEY is set", "`up` runs the emulator instead; set it for real models")]
    async with FalGateway(settings.fal_key or "none:none", FalHosts.at(settings.fal_base_url)) as fal:
        health = await fal.probe()
    if health.ok:
        return [ok(_PART, health.detail)]
    return [broken(_PART, health.detail, _ADVICE[health.reason or "unreachable"])]
