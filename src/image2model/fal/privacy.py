"""What FAL keeps, and who may read it: lifecycle preferences, signed addresses, deletion of payloads.

Access lists, signing and deletion reach FAL's own v3 CDN only: a file on a partner's host is public, and
nothing here changes that. FAL's key goes to FAL's API alone, never to a host of files. Inputs expire and are
never restricted: whether a model can read a restricted input is not verified.
"""

from typing import Final
from uuid import uuid4

import msgspec

from image2model.errors import FalError, FalResultGone, FalTransient
from image2model.fal.errors import FalAdminRefused, FalFilesLeft, FalUnreachable, message_of
from image2model.fal.session import FalSession, Reply, decode_reply
from image2model.fal.wire import DeletedPayloads, SignedAddress
from image2model.settings import Settings

_PREFERENCE: Final = "X-Fal-Object-Lifecycle-Preference"
_OF_UPLOADS: Final = "X-Fal-Object-Lifecycle"
"""The name that the CDN reads; fal-client 1.0.3 sends both with an upload."""
_SIGNED_S: Final = 3600
"""How long a signed address works. A transfer that has begun may take longer; each try has a new address."""
_MAX_NAMED: Final = 3


class FalPrivacy(msgspec.Struct, frozen=True):
    """`retention_s`: after so many seconds files expire at FAL; None: as FAL's account has it.

    `restricted`: outputs can be read by signed addresses only. `admin_key` deletes payloads.
    """

    retention_s: int | None = None
    restricted: bool = False
    admin_key: str | None = None

    def of_uploads(self) -> dict[str, str]:
        """The headers of an upload."""
        if self.retention_s is None:
            return {}
        text = _json({"expiration_duration_seconds": self.retention_s})
        return {_OF_UPLOADS: text, _PREFERENCE: text}

    def of_outputs(self) -> dict[str, str]:
        """The headers of a submit, for the files that it makes."""
        if self.retention_s is None:
            return {}
        preference: dict[str, object] = {"expiration_duration_seconds": self.retention_s}
        if self.restricted:
            preference["initial_acl"] = {"default": "forbid", "rules": []}
        return {_PREFERENCE: _json(preference)}


def fal_privacy(settings: Settings) -> FalPrivacy:
    """What FAL keeps, as the settings say. The admin key deletes also what an earlier setting left."""
    expires = settings.fal_privacy != "default"
    return FalPrivacy(
        retention_s=int(settings.fal_retention) if expires else None,
        restricted=settings.fal_privacy == "private",
        admin_key=settings.fal_admin_key,
    )


class AddressSigner:
    """Asks FAL for addresses that open restricted files."""

    def __init__(self, session: FalSession) -> None:
        self._session = session

    async def sign(self, url: str) -> str:
        """An address of this file that works now; of a file that has no access list, the URL itself.

        Raises FalResultGone where FAL has no such file, and FalUnreachable where another try may help.
        """
        if not self._session.hosts.has_access_lists(url):
            return url
        reply = await self._session.call(
            "POST",
            f"{self._session.hosts.api}/storage/files/sign",
            params={"url": url.partition("#")[0].partition("?")[0]},
            json={"expiration_seconds": _SIGNED_S},
            tries=2,
        )
        signed = _signed(reply)
        if not self._session.hosts.serves_media(signed):
            raise FalUnreachable("FAL gave a signed address that is not on one of its own hosts")
        return signed

    async def probe(self, missing_file: str) -> str | None:
        """Why FAL refuses this key to sign; None where it does not. Raises FalUnreachable."""
        try:
            await self.sign(missing_file)
        except FalResultGone:
            return None
        except FalUnreachable as error:
            if error.status in (401, 403):
                return error.message
            raise
        return None


class PayloadDeletion:
    """Deletes what FAL keeps of requests. `admin_key` None: nothing can be deleted."""

    def __init__(self, session: FalSession, admin_key: str | None) -> None:
        self._session = session
        self._admin_key = admin_key

    @property
    def possible(self) -> bool:
        """Whether there is an admin key."""
        return self._admin_key is not None

    async def delete(self, request_id: str) -> None:
        """Delete the input and output of a request, and its output files. Again changes nothing.

        Raises FalAdminRefused, FalResultGone where FAL has no such request, FalFilesLeft, FalTransient and
        FalUnreachable. No Idempotency-Key goes along: FAL would repeat its first answer for ten minutes, also
        one that says that a file is left.
        """
        reply = await self._call(request_id)
        if reply.status in (401, 403):
            raise FalAdminRefused(message_of(reply.body, reply.status).message, status=reply.status)
        if reply.status in (404, 410):
            raise FalResultGone("FAL has no such request", status=reply.status)
        found = decode_reply(reply, DeletedPayloads)
        if left := found.left:
            reasons = "; ".join(left[:_MAX_NAMED])
            raise FalFilesLeft(f"{len(left)} of {len(found.cdn_delete_results)} files are left: {reasons}")

    async def probe(self) -> str | None:
        """Why FAL refuses the admin key; None where it does not. Deletes nothing. Raises FalError."""
        try:
            await self.delete(str(uuid4()))
        except FalAdminRefused as refused:
            return refused.message
        except FalResultGone:
            return None
        return None

    async def _call(self, request_id: str) -> Reply:
        url = f"{self._session.hosts.api}/models/requests/{request_id}/payloads"
        if self._admin_key is None:
            raise FalAdminRefused("I2M_FAL_ADMIN_KEY is not set")
        self._session.key_headers(url)  # raises where no key may go
        headers = {"Authorization": f"Key {self._admin_key}"}
        return await self._session.call("DELETE", url, headers=headers, keyed=False, tries=2)


def _signed(reply: Reply) -> str:
    if reply.status in (404, 410):
        raise FalResultGone(
            f"the file is gone: FAL signs no address of it ({reply.status})", status=reply.status
        )
    if reply.status in (401, 403):
        said = message_of(reply.body, reply.status).message
        raise FalUnreachable(f"FAL refuses to sign the file's address: {said}", status=reply.status)
    try:
        return decode_reply(reply, SignedAddress).signed_url
    except FalTransient as error:
        message = f"FAL signed no address of the file: {reply.status}"
        raise FalUnreachable(message, status=error.status) from error
    except FalError as error:
        raise FalUnreachable(error.message, status=error.status) from error


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
