"""The content security policies of the pages, and the other hosts that downloads may be redirected to."""

from collections.abc import Mapping, Sequence
from typing import Final

from image2model.settings import Settings
from image2model.storage.address import download_origins
from image2model.storage.remote import origin_of

_FAL_MEDIA: Final = ("https://fal.media", "https://*.fal.media")


def media_origins(settings: Settings, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of redirected downloads; empty if the service serves all files itself.

    `environment` has the storage's endpoint, as for the storage itself.
    """
    stored = download_origins(settings.storage_url, environment)
    if settings.results == "redirect":  # uploaded pictures are in the storage all the same
        return (*_FAL_MEDIA, *origin_of(settings.fal_base_url or ""), *stored)
    return stored


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


_WORKER: Final = (
    "default-src 'none'; "
    "script-src 'self'; "  # the modules that it imports
    "connect-src 'self'; "  # the events
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


def worker_headers() -> dict[str, str]:
    """The headers of a shared worker's script, whose policy is its own, beside those of every answer."""
    return {"Content-Security-Policy": _WORKER}
