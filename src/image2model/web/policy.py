"""The content security policies of the pages, and the other hosts that downloads may be redirected to."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from image2model.settings import Settings

_FAL_MEDIA: Final = ("https://fal.media", "https://*.fal.media")
_AWS: Final = ("https://*.amazonaws.com",)


def media_origins(settings: Settings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of redirected downloads; empty if the service serves all files itself.

    `environment` has the S3 endpoint, as for the storage itself.
    """
    if settings.results == "redirect":
        return (*_FAL_MEDIA, *_origin(settings.fal_base_url or ""))
    if settings.storage_url is None or not settings.storage_url.lower().startswith("s3://"):
        return ()
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    return _origin(endpoint) or _AWS


def _origin(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()


VIEWER_STYLES: Final = ("'sha256-PXtZZkJMMyc18o/DN1ZEFOJ2qEGq95IQbVaJFMOXOb0='",)
"""The style elements in the template of the pinned version of `@google/model-viewer`."""


def policy(media_origins: Sequence[str] = ()) -> str:
    """The header's value. `media_origins` are other hosts that downloads are redirected to."""
    others = "".join(f" {origin}" for origin in media_origins)
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval' blob:",
            f"style-src 'self' {' '.join(VIEWER_STYLES)}",
            f"img-src 'self' blob: data:{others}",
            f"connect-src 'self' blob: data:{others}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


_REFERENCE: Final = (
    "default-src 'none'; "  # no frames, fonts, workers, media, plugins
    "script-src 'self'; "  # the viewer and what starts it; no inline code, no eval
    "style-src 'self'; "  # the viewer sets styles by script, which needs no 'unsafe-inline'
    "img-src 'self' data: blob:; "  # our icon · the viewer's icons · pictures in answers of "Try it out"
    "connect-src 'self'; "  # the document, and "Try it out"
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def headers(media_origins: Sequence[str] = ()) -> dict[str, str]:
    """The headers of the page, beside those of every answer."""
    return {
        "Content-Security-Policy": policy(media_origins),
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), xr-spatial-tracking=(self)",
    }


def reference_headers() -> dict[str, str]:
    """The headers of the API reference page, beside those of every answer."""
    return {
        "Content-Security-Policy": _REFERENCE,
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }
