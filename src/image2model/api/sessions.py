"""`/session`: the page's way in. A key goes in, a cookie that no script can read comes out.

Who calls it: the router. Under `I2M_AUTH=none` there is nothing to sign in to, and no cookie.
"""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api import same_origin
from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.credentials import cookie_name, key_of_header, unauthenticated
from image2model.api.json_body import read_json
from image2model.api.principal import Principal
from image2model.store import sessions
from image2model.store.api_keys import Role
from image2model.store.sessions import LIFE_SECONDS


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body, unless the key is in the Authorization header."""

    key: str


_body: Final = msgspec.json.Decoder(SignIn)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who has signed in. `expires_in` is seconds, null where nothing expires."""

    key_id: str
    role: Role
    expires_in: int | None


_EXAMPLE: Final = '{"key": "i2m_…"}'


async def begin(request: Request) -> Response:
    """201 with the cookie; 200 without one where no keys are used."""
    state = state_of(request, AccessState)
    same_origin.check_if_told(request.scope)
    if state.settings.auth == "none":
        return json_answer(_session(await state.authenticate(request.scope), None))
    secret = key_of_header(request.scope)
    if secret is None:
        secret = (await read_json(request, _body, _EXAMPLE)).key
    if not secret:
        raise unauthenticated(f"Send a key, as {_EXAMPLE} or in the Authorization header.")
    principal = await state.gate.sign_in(request.scope, secret)
    cookie = await sessions.begin(state.redis, principal.key)
    answer = json_answer(_session(principal, LIFE_SECONDS), 201)
    answer.set_cookie(
        cookie_name(request.scope),
        cookie,
        max_age=LIFE_SECONDS,
        path="/",
        secure=_by_https(request),
        httponly=True,
        samesite="strict",
    )
    return answer


async def show(request: Request) -> Response:
    """200: who the caller is."""
    return json_answer(_session(await state_of(request, AccessState).authenticate(request.scope), None))


async def end(request: Request) -> Response:
    """204: the cookie opens nothing any more, wherever a copy of it may be."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    if principal.credential is not None and principal.credential.kind == "session":
        await sessions.end(state.redis, principal.credential.digest)
    answer = Response(status_code=204)
    answer.delete_cookie(
        cookie_name(request.scope), path="/", secure=_by_https(request), httponly=True, samesite="strict"
    )
    return answer


def _by_https(request: Request) -> bool:
    return bool(request.scope["scheme"] == "https")


def _session(principal: Principal, expires_in: int | None) -> Session:
    return Session(key_id=principal.name, role=principal.role, expires_in=expires_in)
