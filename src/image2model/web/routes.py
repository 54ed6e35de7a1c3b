"""The addresses for browsers: the page at `/`, the API reference, and the files of both.

Who calls it: the command line, when it puts the application together. The files hold no secret and ask for
no key; what they show comes from the API, which does.
"""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from image2model.errors import NotFound
from image2model.web import files as tree
from image2model.web import policy
from image2model.web.files import Asset, Tree

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_WORTH_IT: Final = 512
"""Bytes from which compression pays."""


def routes(media_origins: Sequence[str] = ()) -> list[BaseRoute]:
    """The routes. `media_origins` are other hosts that downloads are redirected to, if any."""
    page = Page(tree.load(), media_origins)
    return [
        Route("/", page.index, methods=["GET"]),
        Route("/favicon.ico", page.icon, methods=["GET"]),
        Route("/api/v1/docs", page.reference, methods=["GET"]),
        Route("/assets/{version}/{path:path}", page.asset, methods=["GET"]),
    ]


class Page:
    """Answers for one version of the page."""

    def __init__(self, files: Tree, media_origins: Sequence[str]) -> None:
        self._tree = files
        self._headers = policy.headers(media_origins)
        self._reference_headers = policy.reference_headers()

    async def index(self, request: Request) -> Response:
        """The page itself: always asked for again, and mostly answered with 304."""
        return await answer(request, self._tree.index, _ASK_AGAIN, self._headers)

    async def icon(self, request: Request) -> Response:
        """For browsers that ask for it whatever the page says."""
        return await answer(request, self._tree.files["icon.svg"], _ASK_AGAIN)

    async def reference(self, request: Request) -> Response:
        """The API reference's page. The document that it shows comes from the API, which asks for a key."""
        return await answer(request, self._tree.reference, _ASK_AGAIN, self._reference_headers)

    async def asset(self, request: Request) -> Response:
        """A file of this version. Raises NotFound for any other."""
        found = self._tree.files.get(request.path_params["path"])
        if found is None or request.path_params["version"] != self._tree.version:
            raise NotFound("The page has no such file. If it was open during an upgrade, load it again.")
        return await answer(request, found, _FOR_EVER)


async def answer(
    request: Request, asset: Asset, caching: str, more: dict[str, str] | None = None
) -> Response:
    """200, or 304 where the browser has it."""
    compress = len(asset.data) >= _WORTH_IT and "gzip" in request.headers.get("accept-encoding", "")
    etag = f'"{asset.digest}{"-gz" if compress else ""}"'
    headers = {"ETag": etag, "Cache-Control": caching, "Vary": "Accept-Encoding", **(more or {})}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await asset.compressed() if compress else asset.data
    if compress:
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type=asset.media_type, headers=headers)
