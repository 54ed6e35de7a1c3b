"""Whether an address may be called when a job ends.

Who calls it: the acceptance of a batch. Pure: it looks at the text alone; the names in it are resolved,
and private addresses refused again, when the call is made.
"""

from urllib.parse import urlsplit

from image2model.errors import InvalidParameter
from image2model.network.public_url import unfitness


def check_webhook_url(url: str, *, allow_private: bool) -> None:
    """Raises InvalidParameter unless the address may be called: see `network.public_url`.

    `allow_private` admits http and private addresses too.
    """
    why = unfitness(url, allow_private=allow_private)
    if why is not None:
        raise InvalidParameter(f"`webhook_url` {why}")


def shown(url: str) -> str:
    """The address as a log may show it: without user, password, query and fragment, where secrets hide."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"
