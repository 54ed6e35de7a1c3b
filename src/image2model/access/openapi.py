"""The page's session. Who calls it: the table."""

from typing import Final

from msgspec.structs import replace

from image2model import errors
from image2model.access.http import Session, SignIn
from image2model.access.keys import KeyDocument, KeyList, KeyRequest
from image2model.access.sessions import SESSION_TTL_SECONDS
from image2model.http.reference import KEY, Answer, Body, Header, Operation, Parameter

_SIGNED_IN: Final = Session(key_id=KEY, role="user", expires_in=SESSION_TTL_SECONDS)
_LOCAL: Final = Session(key_id="local", role="admin", expires_in=None)
_COOKIE: Final = Header(
    name="Set-Cookie",
    description="The session: HttpOnly, `SameSite=Strict`; by https `Secure`, under the name "
    "`__Host-i2m_session`.",
    example="i2m_session=…; HttpOnly; Path=/; SameSite=strict",
)

SESSION_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/session",
        tag="Session",
        id="signIn",
        summary="Sign in with a key",
        description="For browsers: the cookie stands for the key from then on. The key is in the body, or in "
        "the Authorization header and then no body is read.",
        body=Body(
            description="The key.",
            shape=SignIn,
            required=False,
            examples={"a key": SignIn(key="i2m_Zm9vYmFy")},
        ),
        answers=(
            Answer(
                status=200,
                description="No keys are used here (`I2M_AUTH=none`), so there is no cookie.",
                shape=Session,
                example=_LOCAL,
            ),
            Answer(
                status=201,
                description="Signed in.",
                shape=Session,
                example=_SIGNED_IN,
                headers=(_COOKIE,),
            ),
        ),
        problems=(
            errors.Unauthenticated,
            errors.Forbidden,
            errors.RateLimited,
            errors.BodyTooLarge,
            errors.UploadTooSlow,
            errors.InvalidParameter,
        ),
        access="open",
    ),
    Operation(
        method="GET",
        path="/api/v1/session",
        tag="Session",
        id="getSession",
        summary="Who the caller is",
        description="Of a key as of a cookie; `expires_in` is null here.",
        answers=(
            Answer(
                status=200,
                description="The caller.",
                shape=Session,
                example=Session(key_id=KEY, role="user", expires_in=None),
            ),
        ),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/session",
        tag="Session",
        id="signOut",
        summary="Sign out",
        description="The cookie opens nothing any more, wherever a copy of it may be.",
        answers=(Answer(status=204, description="Signed out.", headers=(_COOKIE,)),),
    ),
)

_KEY: Final = KeyDocument(
    key_id=KEY,
    prefix="i2m_Zm9vYm",
    name="shop",
    role="user",
    owner=KEY,
    status="active",
    rate="60/min",
    budget="25.00/month",
    max_queued=None,
    created_at="2026-11-24T09:00:00.000Z",
    expires_at=None,
    last_used_at=None,
    revoked_at=None,
)
_KEY_ID: Final = Parameter(
    name="key_id", where="path", description="The key's id, or its prefix.", example=_KEY.key_id
)

KEY_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/keys",
        tag="Administration",
        id="listKeys",
        summary="All keys",
        description="The oldest first, revoked ones too. Nobody can be told a key's text again.",
        answers=(Answer(status=200, description="The keys.", shape=KeyList, example=KeyList(keys=(_KEY,))),),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/keys",
        tag="Administration",
        id="createKey",
        summary="Make a key",
        description="What is left out is as the settings say. With `owner` it is one more key of that owner.",
        body=Body(
            description="The key to be made. `rate` is such as `60/min`, `budget` such as `25.00/month`, "
            "`expires` a duration such as `90d`.",
            shape=KeyRequest,
            examples={
                "a shop's": KeyRequest(name="shop", rate="60/min", budget="25.00/month", expires="90d")
            },
        ),
        answers=(
            Answer(
                status=201,
                description="The key with its text, `key`, which is never shown again.",
                shape=KeyDocument,
                example=replace(_KEY, key="i2m_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8"),
            ),
        ),
        problems=(errors.InvalidParameter, errors.BodyTooLarge, errors.UploadTooSlow),
        access="admin",
    ),
    Operation(
        method="DELETE",
        path="/api/v1/admin/keys/{key_id}",
        tag="Administration",
        id="revokeKey",
        summary="Revoke a key",
        description="From the answer on it opens nothing, and the event streams that it has open end.",
        parameters=(_KEY_ID,),
        answers=(Answer(status=204, description="Revoked; also where it was before."),),
        problems=(errors.NotFound,),
        access="admin",
    ),
)
