"""The routes for browsers: the page at `/`, the API reference, and the files of both."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from image2model.errors import NotFound
from image2model.web import files as tree
from image2model.web import policy
from image2model.web.files import Asset, Tree

_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"
_MIN_COMPRESSED_BYTES: Final = 512
"""Smallest file, in bytes, that is worth compressing."""


def routes(media_origins: Sequence[str] = (), *, max_file_bytes: int) -> list[BaseRoute]:
    """The routes. `media_origins` are other hosts that downloads may be redirected to.

    `max_file_bytes` is the largest picture that the service takes.
    """
    page = Page(tree.load(max_file_bytes), media_origins)
    return [
        Route("/", page.index, methods=["GET"]),
        Route("/favicon.ico", page.icon, methods=["GET"]),
        Route("/api/v1/docs", page.reference, methods=["GET"]),
        Route("/assets/{version}/{path:path}", page.asset, methods=["GET"]),
    ]


class Page:
    """Serves one version of the pages."""

    def __init__(self, files: Tree, media_origins: Sequence[str]) -> None:
        self._tree = files
        self._headers = policy.headers(media_origins)
        self._reference_headers = policy.reference_headers()

    async def index(self, request: Request) -> Response:
        """The page itself: browsers always revalidate it, mostly with a 304."""
        return await answer(request, self._tree.index, _REVALIDATE, self._headers)

    async def icon(self, request: Request) -> Response:
        """The icon, for browsers that request it in any case."""
        return await answer(request, self._tree.files["icon.svg"], _REVALIDATE)

    async def reference(self, request: Request) -> Response:
        """The API reference page. Its document comes from the API, which needs a key."""
        return await answer(request, self._tree.reference, _REVALIDATE, self._reference_headers)

    async def asset(self, request: Request) -> Response:
        """A file of this version. Raises NotFound for any other."""
        found = self._tree.files.get(request.path_params["path"])
        if found is None or request.path_params["version"] != self._tree.version:
            raise NotFound("The page has no such file. If the page was open during an upgrade, reload it.")
        extra = policy.worker_headers() if found.path == tree.EVENT_WORKER else None
        return await answer(request, found, _IMMUTABLE, extra)


async def answer(
    request: Request, asset: Asset, caching: str, extra: dict[str, str] | None = None
) -> Response:
    """200 with the file, or 304 if the browser has it. Raises NotFound where an upgrade has removed it."""
    compress = asset.size >= _MIN_COMPRESSED_BYTES and "gzip" in request.headers.get("accept-encoding", "")
    etag = f'"{asset.digest}{"-gz" if compress else ""}"'
    headers = {"ETag": etag, "Cache-Control": caching, "Vary": "Accept-Encoding", **(extra or {})}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await asset.compressed() if compress else await asset.content()
    if compress:
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type=asset.media_type, headers=headers)
