"""Whether FAL still has a file of a result of which this service keeps no copy."""

from image2model.fal.download import Downloads
from image2model.fal.hosts import FalHosts
from image2model.fal.privacy import AddressSigner, fal_privacy
from image2model.fal.session import USER_AGENT, FalSession
from image2model.network.guard import GuardedSession
from image2model.settings import Settings

_DEADLINE_S = 10.0


async def size_at_fal(settings: Settings, url: str) -> int | None:
    """The size of the file at this address, None where its host does not say; only its head is read.

    Raises FalResultGone where it is no longer there, FalAddressRefused, and FalUnreachable where that cannot
    be told now.
    """
    session = FalSession(settings.fal_key or "", FalHosts.at(settings.fal_base_url), max_connections=1)
    guarded = GuardedSession(
        allow_private=settings.webhook_allow_private, headers={"User-Agent": USER_AGENT}, decompress=True
    )
    await session.open()
    try:
        async with guarded:
            restricted = fal_privacy(settings).restricted
            downloads = Downloads(
                session,
                guarded,
                read_deadline=_DEADLINE_S,
                slow_start=_DEADLINE_S,
                address=AddressSigner(session).sign if restricted else None,
            )
            async with downloads.open(url) as file:
                return file.size
    finally:
        await session.close()
