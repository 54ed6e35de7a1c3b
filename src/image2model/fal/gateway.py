"""The gateway: everything this service asks of FAL, in one object that is opened once per process.

Who calls it: the worker for all of it, the API for health, prices and webhook keys. It keeps nothing
about jobs and decides nothing about retries: each error's class says what may be done next.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from image2model.domain import FalRequest
from image2model.fal import follow as cancel
from image2model.fal import platform as health
from image2model.fal.download import Downloads, FalDownload
from image2model.fal.endpoints import DEFAULT_MODEL, Endpoint
from image2model.fal.follow import CancelReply, FalUpdate, Follower, FollowPace
from image2model.fal.hosts import FalHosts
from image2model.fal.paid_post import BeforeSend
from image2model.fal.platform import FalHealth, Listed, Platform
from image2model.fal.results import FalResult, Results
from image2model.fal.session import USER_AGENT, FalSession, Observer, ignore, observed, read
from image2model.fal.submit import Priority, Submission
from image2model.fal.uploads import Uploader
from image2model.fal.wire import Jwks, ModelEntry, Price
from image2model.network.guard import GuardedSession


def elsewhere_session(*, allow_private: bool) -> GuardedSession:
    """The session for result files on hosts that are not FAL's. `allow_private`: for development only."""
    return GuardedSession(allow_private=allow_private, headers={"User-Agent": USER_AGENT}, decompress=True)


class FalGateway:
    """Use it as `async with FalGateway(key, hosts) as fal`. All times are in seconds.

    `elsewhere` fetches result files that lie on other hosts than FAL's; it is opened and closed here.
    """

    def __init__(
        self,
        key: str,
        hosts: FalHosts,
        *,
        max_connections: int = 4096,
        observer: Observer = ignore,
        pace: FollowPace = FollowPace(),  # noqa: B008 - frozen
        submit_deadline: float = 60.0,
        result_deadline: float = 30.0,
        read_deadline: float = 30.0,
        slow_start: float = 60.0,
        elsewhere: GuardedSession | None = None,
    ) -> None:
        self.hosts = hosts
        self._observer = observer
        self._session = FalSession(key, hosts, max_connections=max_connections)
        self._submission = Submission(key, hosts, deadline=submit_deadline)
        self._uploader = Uploader(self._session)
        self._follower = Follower(self._session, observer, pace)
        self._results = Results(self._session, deadline=result_deadline, first_gap=pace.first_gap)
        self._elsewhere = elsewhere or elsewhere_session(allow_private=False)
        self._downloads = Downloads(
            self._session, self._elsewhere, read_deadline=read_deadline, slow_start=slow_start
        )
        self._platform = Platform(self._session)

    async def __aenter__(self) -> Self:
        await self._session.open()
        await self._elsewhere.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._elsewhere.__aexit__(kind, error, trace)
        await self._session.close()
        await self._submission.close()

    async def upload(self, data: bytes, *, filename: str, content_type: str) -> str:
        """Upload a picture; its public URL, unique to this call.

        Raises FalTransient (upload it again later) or FalAccountFault.
        """
        with observed(self._observer, "upload"):
            return await self._uploader.upload(data, filename=filename, content_type=content_type)

    async def submit(
        self,
        endpoint_id: str,
        payload: Mapping[str, object],
        *,
        tags: Mapping[str, str],
        webhook_url: str | None,
        before_send: BeforeSend,
        priority: Priority | None = None,
    ) -> FalRequest:
        """Buy one generation: exactly one POST, or none.

        `before_send` is awaited when the connection stands and the first byte is next; if it raises,
        nothing is sent and its exception comes out unchanged. It is not called when FAL is not reached.
        Raises FalNotAccepted (FalThrottled for 429) when it may be sent again, FalAccountFault,
        FalEndpointFault, FalRejected, and FalAmbiguous for all that FAL may have accepted. ValueError for bad
        tags.
        Cancelled, it stops without another POST; whether FAL accepted is then as open as after FalAmbiguous.
        """
        with observed(self._observer, "submit"):
            return await self._submission.submit(
                endpoint_id,
                payload,
                tags=tags,
                webhook_url=webhook_url,
                before_send=before_send,
                priority=priority,
            )

    def follow(self, request: FalRequest) -> AsyncGenerator[FalUpdate, None]:
        """Every change of the request's state until COMPLETED, however long: bound it, and `aclosing` it.

        Whatever fails in between is tried again with the same request, and a word that only sounds like an
        end is settled by asking for the result: UNSETTLED while there is none. Each time that FAL denies to
        know the request is yielded too; raises FalResultGone once it has done so for `pace.grace`.
        """
        return self._follower.follow(request)

    async def result(self, endpoint: Endpoint, request: FalRequest) -> FalResult:
        """The result of a COMPLETED request.

        Raises what FAL answered: FalRejected (final), FalTransient (a failure of FAL's: a new attempt may
        work), FalCancelled, FalUnfinished (follow on), FalResultGone, which one denial more may take back;
        FalUnreachable when it could not be fetched within the deadline: ask again, the request stands;
        FalUnreadable, one of these, when FAL gave what is no result.
        """
        with observed(self._observer, "result"):
            return await self._results.fetch(endpoint, request)

    async def cancel(self, request: FalRequest) -> CancelReply:
        """Ask FAL to stop. Follow on afterwards. Raises FalUnreachable."""
        with observed(self._observer, "cancel"):
            return await cancel.cancel(self._session, request)

    def download(self, url: str) -> AbstractAsyncContextManager[FalDownload]:
        """Open a result file: `async with fal.download(url) as file: async for chunk in file.chunks()`.

        From hosts that are not FAL's only by https from public addresses, redirects included. Raises
        FalResultGone (404, 410), FalAddressRefused, and FalUnreachable for what another try may mend, a file
        that ends early among it.
        """
        return self._download(url)

    @asynccontextmanager
    async def _download(self, url: str) -> AsyncIterator[FalDownload]:
        with observed(self._observer, "download"):
            async with self._downloads.open(url) as file:
                yield file

    async def probe(self) -> FalHealth:
        """Whether FAL is reachable and the key is good, for free. Never raises FalError."""
        with observed(self._observer, "probe"):
            return await health.probe(self._session, DEFAULT_MODEL)

    async def find_submission(self, endpoint_id: str, image_url: str, since: datetime) -> FalRequest | None:
        """The accepted request whose input holds this uploaded URL, among those started since then.

        `since` is aware; take it some minutes early, for clocks differ.

        None means "not listed", which is no proof: the listing lags, and may leave out what is queued.
        Raises FalUnreachable, FalTransient or FalAccountFault.
        """
        with observed(self._observer, "lookup"):
            return await self._platform.find(endpoint_id, image_url, since)

    async def look_up(self, endpoint: Endpoint, request: FalRequest) -> Listed | None:
        """What FAL's listing says of this request; None where it does not list it, which is no proof.

        Raises as `find_submission`.
        """
        with observed(self._observer, "lookup"):
            return await self._platform.look_up(endpoint, request)

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """FAL's unit prices by endpoint id. Raises as `find_submission`. Not cached here."""
        with observed(self._observer, "pricing"):
            return await self._platform.prices(endpoint_ids)

    async def models_metadata(self, endpoint_ids: Iterable[str]) -> dict[str, ModelEntry]:
        """What FAL says of these endpoints, by id. Raises as `find_submission`. Not cached here."""
        with observed(self._observer, "models"):
            return await self._platform.models(endpoint_ids)

    async def webhook_keys(self) -> Jwks:
        """The public keys of FAL's webhooks, for `JwksCache`. Raises FalUnreachable or FalTransient."""
        with observed(self._observer, "jwks"):
            url = f"{self.hosts.rest}/.well-known/jwks.json"
            return read(await self._session.call("GET", url, keyed=False), Jwks)
