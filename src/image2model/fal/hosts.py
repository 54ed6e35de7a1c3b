"""FAL's base URLs, and which hosts may receive FAL's key or serve results.

Pure. A URL that two readers could take for different hosts is trusted with nothing.
"""

import re
from functools import lru_cache
from typing import Final, Self
from urllib.parse import quote, urlsplit

import msgspec

from image2model.domain import FalRequest

_KEY_DOMAINS = ("fal.run", "falrun.com", "fal.ai")
_MEDIA_DOMAINS = ("fal.media",)
_V3_CDN = "v3"
"""How its host names begin: `v3.fal.media`, `v3b.fal.media`."""
_NAMESPACES = ("workflows", "comfy")
_PLAIN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_STRANGE: Final = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]", re.ASCII)


def escaped(url: str) -> str:
    """The URL with every character percent-encoded that a URL may not hold: spaces, line ends, backslashes …

    Different readers see different hosts in such characters, and no header can carry them.
    """
    return _STRANGE.sub(lambda found: quote(found[0], safe=""), url.strip())


class FalHosts(msgspec.Struct, frozen=True):
    """Base URLs without a trailing slash. `base_url` is set when one base serves all of FAL."""

    queue: str = "https://queue.fal.run"
    rest: str = "https://rest.fal.ai"
    cdn: str = "https://v3.fal.media"
    api: str = "https://api.fal.ai/v1"
    base_url: str | None = None

    @classmethod
    def at(cls, base_url: str | None) -> Self:
        """FAL's real hosts for None, else every service under the one base."""
        if not base_url:
            return cls()
        base = base_url.rstrip("/")
        return cls(queue=base, rest=base, cdn=base, api=f"{base}/v1", base_url=base)

    def may_see_key(self, url: str) -> bool:
        """Whether FAL's key may be sent to this URL."""
        if self.base_url is not None:
            return origin_of(url) == origin_of(self.base_url)
        return _is_https_under(url, _KEY_DOMAINS)

    def serves_media(self, url: str) -> bool:
        """Whether results may be fetched from this URL, and clients redirected to it."""
        if self.base_url is not None and origin_of(url) == origin_of(self.base_url):
            return True
        return _is_https_under(url, _MEDIA_DOMAINS)

    def has_access_lists(self, url: str) -> bool:
        """Whether the URL is on FAL's v3 CDN, whose files alone have access lists."""
        if self.base_url is not None and origin_of(url) == origin_of(self.base_url):
            return True
        return self.serves_media(url) and (origin_of(url)[1] or "").startswith(_V3_CDN)

    def requests_url(self, endpoint_id: str) -> str:
        """`…/{owner}/{alias}/requests`: every call except the submit drops the endpoint's sub-path."""
        parts = endpoint_id.split("/")
        kept = 3 if parts[0] in _NAMESPACES else 2
        return f"{self.queue}/{'/'.join(parts[:kept])}/requests"

    def request(self, endpoint_id: str, request_id: str) -> FalRequest:
        """The request of this id, with the URLs that FAL derives from it."""
        response_url = f"{self.requests_url(endpoint_id)}/{request_id}"
        return FalRequest(
            request_id=request_id,
            status_url=f"{response_url}/status",
            response_url=response_url,
            cancel_url=f"{response_url}/cancel",
        )


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; no host where readers could disagree on it, or where the URL has credentials."""
    if not _PLAIN.fullmatch(url) or "\\" in url:
        return "", None, None
    return _origin_of("/".join(url.split("/", 3)[:3]))


@lru_cache(256)  # there are few hosts, and several checks of each image's URLs
def _origin_of(start: str) -> tuple[str, str | None, int | None]:
    """The same, of the part of the URL up to its path."""
    try:
        parts = urlsplit(start)
        port = parts.port
    except ValueError:
        return "", None, None
    if "@" in parts.netloc or "%" in parts.netloc:
        return "", None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_https_under(url: str, domains: tuple[str, ...]) -> bool:
    scheme, host, port = origin_of(url)
    if scheme != "https" or host is None or port != 443:
        return False
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
