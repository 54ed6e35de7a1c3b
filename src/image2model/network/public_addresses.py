"""Which IP addresses are public, and which URLs may be called at the request of a client.

What is not known to be public is refused. Source: the IANA special-purpose address registries.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo and ORCHID among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address in disguise
            "3fff::/20",  # documentation
        ),
    )
)
_REFUSED_V4: Final = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
MAX_LENGTH: Final = 2048
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_USUAL_PORTS: Final = {"https": 443, "http": 80}
_FIRST_UNPRIVILEGED_PORT: Final = 1024
_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.ASCII)


def is_public(address: str) -> bool:
    """Whether the text is a literal address, and public unicast.

    IPv4-mapped, 6to4, NAT64 and Teredo addresses are refused, whatever IPv4 address they contain.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed in _UNICAST and parsed.is_global and not any(parsed in net for net in _REFUSED_V6)
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not parsed.is_reserved
        and not any(parsed in net for net in _REFUSED_V4)
    )


def is_address(text: str) -> bool:
    """Whether the text is a literal address rather than a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def url_problem(
    url: str, *, allow_private: bool, allow_http: bool = False, most: int = MAX_LENGTH
) -> str | None:
    """Why the URL may not be called, as a phrase that follows its name; None if it may.

    It must be absolute, https, public as far as its text shows, without credentials, and of at most `most`
    characters. `allow_private` allows http and private addresses too, `allow_http` http alone.
    """
    if len(url) > most or not _VISIBLE.fullmatch(url):
        return f"must be a URL of at most {most} ASCII characters."
    parts = _split(url)
    if parts is None:
        return "is not a valid URL."
    schemes = ("https", "http") if allow_private or allow_http else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        return f"must be an absolute {' or '.join(schemes)} URL."
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password."
    if not allow_private and _is_private(parts.hostname.lower()):
        return "must be a public internet address."
    if not allow_private and parts.port is not None and not _is_allowed_port(parts.port, parts.scheme):
        return f"must use port {_USUAL_PORTS[parts.scheme]}, or a port from 1024 up."
    return None


def ascii_url(url: str) -> str:
    """A URL as a person writes it, with spaces and letters of any language encoded."""
    return url if url.isascii() and " " not in url else quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def redacted_url(url: str) -> str:
    """The address as logs and documents may show it: user, password, query and fragment can be secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"


def _is_allowed_port(port: int, scheme: str) -> bool:
    return port == _USUAL_PORTS[scheme] or port >= _FIRST_UNPRIVILEGED_PORT


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read because it raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def _is_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    if is_address(name):
        return not is_public(name)
    # 127.1, 0x7f000001, 2130706433: other spellings of IPv4 addresses that resolvers accept
    return bool(_NUMERIC.fullmatch(host))
