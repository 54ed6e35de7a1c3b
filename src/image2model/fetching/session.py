"""The session by which pictures are fetched: public addresses, http and https, and nothing of ours sent."""

import ssl
from collections.abc import Callable

from image2model import __version__
from image2model.jobs.fetches import MOST_ADDRESS
from image2model.network.guard import GuardedSession
from image2model.network.public_addresses import is_public
from image2model.network.resolver import Lookup


def fetch_session(
    *,
    allow_private: bool,
    lookup: Lookup | None = None,
    allows: Callable[[str], bool] = is_public,
    tls: ssl.SSLContext | None = None,
) -> GuardedSession:
    """One for each worker process. `allow_private`: see `I2M_FETCH_ALLOW_PRIVATE`; the others as there."""
    return GuardedSession(
        allow_private=allow_private,
        allow_http=True,
        most_characters=MOST_ADDRESS,
        verbatim=True,
        lookup=lookup,
        allows=allows,
        tls=tls,
        headers={"User-Agent": f"image2model/{__version__}"},
    )
