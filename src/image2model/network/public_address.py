"""Which IP addresses belong to the internet at large, and so may be called in a client's name.

Who calls it: the check of a URL's text, and the resolver with each address that is about to be connected
to. Pure. What is not known to be public is refused. Source: the IANA special-purpose address registries.
"""

import ipaddress
from typing import Final

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


def is_public(address: str) -> bool:
    """Whether a literal address is public unicast. Text that is no address is not.

    IPv4-mapped, 6to4, NAT64 and Teredo addresses are refused whatever they hold.
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
    """Whether the text is a literal address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
