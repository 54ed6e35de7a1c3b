"""What the page may load, and from where: its Content-Security-Policy.

Who calls it: the routes. The viewer is the reason for each exception: it compiles WebAssembly, decodes in
workers made from blobs, reads textures from blobs, and brings one style element of a known content.
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


def headers(media_origins: Sequence[str] = ()) -> dict[str, str]:
    """What the page's own answer carries besides what every answer does."""
    return {
        "Content-Security-Policy": policy(media_origins),
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), xr-spatial-tracking=(self)",
    }
