"""Other hosts that a download may be redirected to, which the page's policy must then allow.

Who calls it: the command line, when it puts the application together. Pure.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from image2model.settings import Settings

_FAL_MEDIA: Final = ("https://fal.media", "https://*.fal.media")
_AWS: Final = ("https://*.amazonaws.com",)


def media_origins(settings: Settings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """None where all files are our own. `environment` names the S3 endpoint, as for the storage itself."""
    if settings.results == "redirect":
        return (*_FAL_MEDIA, *_origin(settings.fal_base_url or ""))
    if settings.storage_url is None or not settings.storage_url.lower().startswith("s3://"):
        return ()
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    return _origin(endpoint) or _AWS


def _origin(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()
