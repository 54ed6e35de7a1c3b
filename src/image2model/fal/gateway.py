"""The gateway: every call to FAL, in one object that each process opens once.

It keeps nothing about jobs and decides nothing about retries: the class of an error says what may be done
next.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from image2model.domain import FalRequest
from image2model.fal.download import Downloads, FalDownload
from image2model.fal.endpoints import DEFAULT_MODEL, Endpoint
from image2model.fal.follow import CancelReply, FalUpdate, Follower, FollowPace, cancel
from image2model.fal.health import FalHealth
from image2model.fal.hosts import FalHosts
from image2model.fal.models_api import ModelsApi
from image2model.fal.paid_post import BeforeSend
from image2model.fal.platform import Listed, Platform, probe
from image2model.fal.privacy import AddressSigner, FalPrivacy, PayloadDeletion
from image2model.fal.results import FalResult, Results
from image2model.fal.session import USER_AGENT, FalSession, Observer, decode_reply, no_observer, observed
from image2model.fal.submit import Priority, Submission
from image2model.fal.uploads import Uploader
from image2model.fal.wire import Jwks, ModelEntry, Price
from image2model.network.guard import GuardedSession


def other_hosts_session(*, allow_private: bool) -> GuardedSession:
    """The session for result files on hosts other than FAL's. `allow_private`: for development only."""
    return GuardedSession(allow_private=allow_private, headers={"User-Agent": USER_AGENT}, decompress=True)


class FalGateway:
    """Use it as `async with FalGateway(key, hosts) as fal`. All times are in seconds.

    `other_hosts` fetches result files from hosts other than FAL's; it is opened and closed here. `privacy`:
    what FAL keeps of what is sent from here.
    """

    def __init__(
        self,
        key: str,
        hosts: FalHosts,
        *,
        max_connections: int = 4096,
        observer: Observer = no_observer,
        pace: FollowPace = FollowPace(),  # noqa: B008 - frozen
        submit_deadline: float = 60.0,
        result_deadline: float = 30.0,
        read_deadline: float = 30.0,
        slow_start: float = 60.0,
        other_hosts: GuardedSession | None = None,
        privacy: FalPrivacy = FalPrivacy(),  # noqa: B008 - frozen
    ) -> None:
        self.hosts = hosts
        self._observer = observer
        self._session = FalSession(key, hosts, max_connections=max_connections)
        self._submission = Submission(key, hosts, deadline=submit_deadline, preference=privacy.of_outputs())
        self._uploader = Uploader(self._session, privacy.of_uploads())
        self._follower = Follower(self._session, observer, pace)
        self._results = Results(self._session, deadline=result_deadline, first_gap=pace.first_gap)
        self._other_hosts = other_hosts or other_hosts_session(allow_private=False)
        self._downloads = Downloads(
            self._session,
            self._other_hosts,
            read_deadline=read_deadline,
            slow_start=slow_start,
            address=self._signed if privacy.restricted else None,
        )
        self._signer = AddressSigner(self._session)
        self._deletion = PayloadDeletion(self._session, privacy.admin_key)
        self._platform = Platform(self._session)
        self._models = ModelsApi(self._session)

    async def __aenter__(self) -> Self:
        await self._session.open()
        await self._other_hosts.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._other_hosts.__aexit__(kind, error, trace)
        await self._session.close()
        await self._submission.close()

    @property
    def concurrency_limit(self) -> int | None:
        """How many requests FAL runs at once for this account, as it said with the last accepted submit."""
        return self._submission.concurrency_limit

    async def upload(self, data: bytes, *, filename: str, content_type: str) -> str:
        """Upload a picture and return its public URL, unique to this call.

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

        `before_send` is awaited once the connection stands, right before the first byte. If it raises,
        nothing is sent and its exception is raised unchanged. It is not called when FAL is not reached.
        Raises FalNotAccepted (FalThrottled for 429) when it may be sent again, FalAccountFault,
        FalEndpointFault, FalRejected, FalAmbiguous where FAL may have accepted the request, and ValueError
        for bad tags. Cancellation stops it without another POST; FAL may have accepted the request then, as
        with FalAmbiguous.
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
        """Yield every change of state until COMPLETED, however long: set a timeout, and use `aclosing`.

        Failures are tried again with the same request. A status that only sounds like an end is checked
        against the result: UNCLEAR while there is none. Each denial of FAL to know the request is yielded
        as DENIED; raises FalResultGone after `pace.grace` of denials.
        """
        return self._follower.follow(request)

    async def result(self, endpoint: Endpoint, request: FalRequest) -> FalResult:
        """The result of a COMPLETED request.

        Raises FAL's answer: FalRejected (final), FalTransient (FAL failed: a new attempt may work),
        FalCancelled, FalUnfinished (follow on), FalResultGone (FAL may still take that back), FalUnreachable
        where it could not be fetched within the deadline (call again, the request stands), and its subclass
        FalUnreadable where FAL gave no valid result.
        """
        with observed(self._observer, "result"):
            return await self._results.fetch(endpoint, request)

    async def cancel(self, request: FalRequest) -> CancelReply:
        """Ask FAL to stop. Follow on afterwards. Raises FalUnreachable."""
        with observed(self._observer, "cancel"):
            return await cancel(self._session, request)

    def download(self, url: str) -> AbstractAsyncContextManager[FalDownload]:
        """Open a result file: `async with fal.download(url) as file: async for chunk in file.chunks()`.

        Other hosts than FAL's only by https and at public addresses, redirects included. Raises FalResultGone
        (404, 410), FalAddressRefused, and FalUnreachable where another try may help, also for a file that
        ends early.
        """
        return self._download(url)

    @asynccontextmanager
    async def _download(self, url: str) -> AsyncIterator[FalDownload]:
        with observed(self._observer, "download"):
            async with self._downloads.open(url) as file:
                yield file

    async def _signed(self, url: str) -> str:
        with observed(self._observer, "sign"):
            return await self._signer.sign(url)

    @property
    def deletes_payloads(self) -> bool:
        """Whether there is an admin key for `delete_payloads`."""
        return self._deletion.possible

    async def delete_payloads(self, request_id: str) -> None:
        """Delete what FAL keeps of a request: input, output and output files on its CDN. Again is harmless.

        Raises FalAdminRefused, FalResultGone where FAL has no such request, FalFilesLeft, FalTransient and
        FalUnreachable.
        """
        with observed(self._observer, "delete"):
            await self._deletion.delete(request_id)

    async def probe_admin_key(self) -> str | None:
        """Why FAL refuses the admin key, None where it accepts it. Deletes nothing. Raises FalError."""
        with observed(self._observer, "probe"):
            return await self._deletion.probe()

    async def probe_signing(self) -> str | None:
        """Why FAL refuses to sign with this key, None where it does not. Raises FalUnreachable."""
        with observed(self._observer, "probe"):
            return await self._signer.probe(f"{self.hosts.cdn}/files/image2model/probe")

    async def probe(self) -> FalHealth:
        """Whether FAL is reachable and accepts the key, at no cost. Never raises FalError."""
        with observed(self._observer, "probe"):
            return await probe(self._session, DEFAULT_MODEL)

    async def find_submission(self, endpoint_id: str, image_url: str, since: datetime) -> FalRequest | None:
        """The accepted request whose input holds this uploaded URL, among those started since then.

        `since` has a time zone; take it some minutes early, because clocks differ.

        None means "not listed", which proves nothing: the listing lags, and may leave out queued requests.
        Raises FalUnreachable, FalTransient or FalAccountFault.
        """
        with observed(self._observer, "lookup"):
            return await self._platform.find(endpoint_id, image_url, since)

    async def look_up(self, endpoint: Endpoint, request: FalRequest) -> Listed | None:
        """This request in FAL's listing; None where it is not listed, which proves nothing.

        Raises as `find_submission`.
        """
        with observed(self._observer, "lookup"):
            return await self._platform.look_up(endpoint, request)

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, Price]:
        """FAL's unit prices by endpoint id. Raises as `find_submission`. Not cached here."""
        with observed(self._observer, "pricing"):
            return await self._models.prices(endpoint_ids)

    async def models_in(self, category: str) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """The pages of one category: see `ModelsApi.in_category`. Raises as `find_submission`."""
        with observed(self._observer, "models"):
            async for page in self._models.in_category(category):
                yield page

    async def models_named(self, endpoint_ids: Iterable[str]) -> AsyncIterator[tuple[ModelEntry, ...]]:
        """These endpoints, page by page: see `ModelsApi.named`. Raises as `find_submission`."""
        with observed(self._observer, "models"):
            async for page in self._models.named(endpoint_ids):
                yield page

    async def webhook_keys(self) -> Jwks:
        """The public keys of FAL's webhooks, for `JwksCache`. Raises FalUnreachable or FalTransient."""
        with observed(self._observer, "jwks"):
            url = f"{self.hosts.rest}/.well-known/jwks.json"
            return decode_reply(await self._session.call("GET", url, keyed=False), Jwks)
