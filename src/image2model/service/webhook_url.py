"""Whether an address may be called when a job ends.

Who calls it: the acceptance of a batch. Pure: it looks at the text alone; the names in it are resolved,
and private addresses refused again, when the call is made.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from image2model.errors import InvalidParameter
from image2model.service.public_address import is_address, is_public

_MAX_LENGTH: Final = 2048
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HTTPS: Final = 443
_LOWEST_FREE_PORT: Final = 1024
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.ASCII)


def check_webhook_url(url: str, *, allow_private: bool) -> None:
    """Raises InvalidParameter unless the address is absolute, https, public as far as its text tells,
    and holds no credentials. `allow_private` admits http and private addresses too.
    """
    if len(url) > _MAX_LENGTH or not _VISIBLE.fullmatch(url):
        raise InvalidParameter(f"`webhook_url` must be a URL of at most {_MAX_LENGTH} ASCII characters.")
    parts = _split(url)
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise InvalidParameter(f"`webhook_url` must be an absolute {' or '.join(schemes)} URL.")
    if parts.username is not None or parts.password is not None:
        raise InvalidParameter("`webhook_url` must not hold a user name or password; the call is signed.")
    if not allow_private and _is_private(parts.hostname.lower()):
        raise InvalidParameter("`webhook_url` must be an address that the internet can reach.")
    if not allow_private and parts.port is not None and not _is_sane(parts.port):
        raise InvalidParameter("`webhook_url` must be on port 443, or on one from 1024 up.")


def _is_sane(port: int) -> bool:
    return port == _HTTPS or port >= _LOWEST_FREE_PORT


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at: it raises where it is no port
    except ValueError:
        raise InvalidParameter("`webhook_url` is not a valid URL.") from None
    return parts


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    if is_address(name):
        return not is_public(name)
    # 127.1, 0x7f000001, 2130706433: other spellings of IPv4 that resolvers take
    return bool(_NUMERIC.fullmatch(host))


def shown(url: str) -> str:
    """The address as a log may show it: without user, password, query and fragment, where secrets hide."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"
