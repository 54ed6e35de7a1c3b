"""The OpenAPI operations of `/session` and `/admin/keys`."""

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
    description="The session: HttpOnly, `SameSite=Strict`; over https also `Secure`, and named "
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
        description="For browsers: afterwards the cookie stands for the key. Send the key in the body or in "
        "the Authorization header; with the header, the body is ignored.",
        body=Body(
            description="The key.",
            shape=SignIn,
            required=False,
            examples={"a key": SignIn(key="i2m_Zm9vYmFy")},
        ),
        answers=(
            Answer(
                status=200,
                description="This service uses no keys (`I2M_AUTH=none`), so there is no cookie.",
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
        summary="Show the caller",
        description="Works with a key and with a cookie; `expires_in` is null here.",
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
        description="Ends the session, also for copies of its cookie.",
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
    models=("fal-ai/*",),
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
        summary="List all keys",
        description="Oldest first, including revoked keys. A key's text is never shown again.",
        answers=(Answer(status=200, description="The keys.", shape=KeyList, example=KeyList(keys=(_KEY,))),),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/keys",
        tag="Administration",
        id="createKey",
        summary="Create a key",
        description="The service's settings apply to fields that you leave out. With `owner` the new key "
        "belongs to that owner.",
        body=Body(
            description="The key to create. Examples: `rate` is `60/min`, `budget` is `25.00/month`, "
            "`expires` is `90d`, `models` are patterns such as `fal-ai/*` or `!fal-ai/sam-3/*`.",
            shape=KeyRequest,
            examples={
                "a shop's": KeyRequest(
                    name="shop", rate="60/min", budget="25.00/month", expires="90d", models=("fal-ai/*",)
                )
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
        description="The key stops working at once, and its open event streams end.",
        parameters=(_KEY_ID,),
        answers=(Answer(status=204, description="Revoked, or revoked already."),),
        problems=(errors.NotFound,),
        access="admin",
    ),
)
