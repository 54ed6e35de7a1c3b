"""The transport under fal-client: sends a submit once, and lets out no error that would send it again.

fal-client repeats a POST up to ten times on httpx's transport errors and on some statuses. So everything
but a good reply leaves here as an error of ours, which it does not know and passes on. Its own fall-back
to FAL's backup domain sits below and stays: it acts only while no connection stands.

Who calls it: fal-client, through the submission.
"""

import httpx
import msgspec
from fal_client.client import AsyncBackupDomainTransport

from image2model.fal.paidpost import CURRENT, PaidPost
from image2model.fal.posttransport import PostTransport


class SingleShotTransport(httpx.AsyncBaseTransport):
    """Sends to `queue_url` whatever host fal-client addressed."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = httpx.URL(queue_url)
        self._below = AsyncBackupDomainTransport(transport=PostTransport())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One POST of the submit under way. Raises the FalError that anything but a good reply means."""
        post = CURRENT.get()
        post.enter()
        self._readdress(request)
        try:
            response = await self._below.handle_async_request(request)
            body = await response.aread()
        except httpx.HTTPError as error:
            raise post.broken(str(error)) from error
        post.judge(response.status_code, response.headers, body)
        return httpx.Response(response.status_code, content=_as_fal_client_wants(post), request=request)

    async def aclose(self) -> None:
        """Close the connections below."""
        await self._below.aclose()

    def _readdress(self, request: httpx.Request) -> None:
        path = self._queue_url.raw_path.rstrip(b"/") + request.url.raw_path
        request.url = self._queue_url.copy_with(raw_path=path)
        request.headers["Host"] = request.url.netloc.decode("ascii")


def _as_fal_client_wants(post: PaidPost) -> bytes:
    # fal-client reads four fields by name; the URLs that FAL left out are filled in by us afterwards.
    return msgspec.json.encode(post.submitted)
