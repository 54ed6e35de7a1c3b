"""The page's session. Who calls it: the table."""

from typing import Final

from image2model import errors
from image2model.api.reference.operation import Answer, Body, Header, Operation
from image2model.api.reference.shared import KEY
from image2model.api.sessions import Session, SignIn
from image2model.store.sessions import LIFE_SECONDS

_SIGNED_IN: Final = Session(key_id=KEY, role="user", expires_in=LIFE_SECONDS)
_LOCAL: Final = Session(key_id="local", role="admin", expires_in=None)
_COOKIE: Final = Header(
    name="Set-Cookie",
    description="The session: HttpOnly, `SameSite=Strict`; by https `Secure`, under the name "
    "`__Host-i2m_session`.",
    example="i2m_session=…; HttpOnly; Path=/; SameSite=strict",
)

OPERATIONS: Final = (
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
