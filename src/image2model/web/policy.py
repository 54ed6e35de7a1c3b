"""What the pages may load, and from where: their Content-Security-Policies.

Who calls it: the routes. On the page at `/` the 3D viewer is the reason for each exception: it compiles
WebAssembly, decodes in workers made from blobs, reads textures from blobs, and brings one style element of a
known content. The API reference has a policy of its own, which names no other host whatever the settings.
"""

from collections.abc import Sequence
from typing import Final

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
    """What the page's own answer carries besides what every answer does."""
    return {
        "Content-Security-Policy": policy(media_origins),
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), xr-spatial-tracking=(self)",
    }


def reference_headers() -> dict[str, str]:
    """What the page of the API reference carries besides what every answer does."""
    return {
        "Content-Security-Policy": _REFERENCE,
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }
