"""Whether the text of a URL names an address that may be called in a stranger's name.

Who calls it: whoever takes such a URL, before anything is resolved. Pure: the names in it are resolved, and
private addresses refused again, when the connection is made.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from image2model.network.public_address import is_address, is_public

MAX_LENGTH: Final = 2048
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HTTPS: Final = 443
_LOWEST_FREE_PORT: Final = 1024
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.ASCII)


def unfitness(url: str, *, allow_private: bool) -> str | None:
    """Why the URL may not be called, to be read behind its name; None where it may.

    It must be absolute, https, public as far as its text tells, and hold no credentials. `allow_private`
    admits http and private addresses too.
    """
    if len(url) > MAX_LENGTH or not _VISIBLE.fullmatch(url):
        return f"must be a URL of at most {MAX_LENGTH} ASCII characters."
    parts = _split(url)
    if parts is None:
        return "is not a valid URL."
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        return f"must be an absolute {' or '.join(schemes)} URL."
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password."
    if not allow_private and _is_private(parts.hostname.lower()):
        return "must be an address that the internet can reach."
    if not allow_private and parts.port is not None and not _is_sane(parts.port):
        return "must be on port 443, or on one from 1024 up."
    return None


def _is_sane(port: int) -> bool:
    return port == _HTTPS or port >= _LOWEST_FREE_PORT


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at: it raises where it is no port
    except ValueError:
        return None
    return parts


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    if is_address(name):
        return not is_public(name)
    # 127.1, 0x7f000001, 2130706433: other spellings of IPv4 that resolvers take
    return bool(_NUMERIC.fullmatch(host))
