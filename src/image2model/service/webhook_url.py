"""Whether an address may be called when a job ends.

Who calls it: the acceptance of a batch. Pure: it looks at the text alone; the names in it are resolved,
and private addresses refused again, when the call is made.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from image2model.errors import InvalidParameter

_MAX_LENGTH: Final = 2048
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
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
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # 127.1, 0x7f000001, 2130706433: other spellings of IPv4 that resolvers take
        return bool(_NUMERIC.fullmatch(host))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return not (mapped or address).is_global
