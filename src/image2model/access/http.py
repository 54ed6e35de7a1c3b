"""HTTP handlers of `/session` (sign in, show, sign out) and `/admin/keys` (list, create, revoke).

A session is for the page: the key goes in once, and a cookie that no script can read comes back. Under
`I2M_AUTH=none` there is no sign-in and no cookie.
"""

import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access import keys, sessions
from image2model.access.keys import KeyRequest, Role
from image2model.access.principal import Principal, cookie_name, key_of_header, require_admin, unauthenticated
from image2model.access.sessions import SESSION_TTL_SECONDS
from image2model.access.state import AccessState, state_of
from image2model.http.bodies import json_response, read_json

_SESSION_EXAMPLE: Final = '{"key": "i2m_…"}'
_KEY_EXAMPLE: Final = '{"name": "shop", "role": "user", "rate": "60/min", "budget": "25.00/month"}'
_key_body: Final = msgspec.json.Decoder(KeyRequest)


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a sign-in, unless the key is in the Authorization header."""

    key: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The caller. `expires_in` is in seconds, null for a caller without a new session."""

    key_id: str
    role: Role
    expires_in: int | None


_session_body: Final = msgspec.json.Decoder(SignIn)


async def begin_session(request: Request) -> Response:
    """201 with the cookie; 200 without one under `I2M_AUTH=none`."""
    state = state_of(request, AccessState)
    sessions.refuse_other_sites(request.scope)
    if state.settings.auth == "none":
        return json_response(_session(await state.authenticate(request.scope), None))
    secret = key_of_header(request.scope)
    if secret is None:
        secret = (await read_json(request, _session_body, _SESSION_EXAMPLE)).key
    if not secret:
        raise unauthenticated(f"Send a key, as {_SESSION_EXAMPLE} or in the Authorization header.")
    principal = await state.gate.sign_in(request.scope, secret)
    cookie = await sessions.begin(state.redis, principal.key)
    answer = json_response(_session(principal, SESSION_TTL_SECONDS), 201)
    answer.set_cookie(
        cookie_name(request.scope),
        cookie,
        max_age=SESSION_TTL_SECONDS,
        path="/",
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )
    return answer


async def show_session(request: Request) -> Response:
    """200: who the caller is."""
    return json_response(_session(await state_of(request, AccessState).authenticate(request.scope), None))


async def end_session(request: Request) -> Response:
    """204: the session ends, also for copies of its cookie."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    if principal.credential is not None and principal.credential.kind == "session":
        await sessions.end(state.redis, principal.credential.digest)
    answer = Response(status_code=204)
    answer.delete_cookie(
        cookie_name(request.scope), path="/", secure=_is_https(request), httponly=True, samesite="strict"
    )
    return answer


def _is_https(request: Request) -> bool:
    return bool(request.scope["scheme"] == "https")


def _session(principal: Principal, expires_in: int | None) -> Session:
    return Session(key_id=principal.name, role=principal.role, expires_in=expires_in)


async def list_keys(request: Request) -> Response:
    """200: all keys, without their texts, which are not stored."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(await keys.listing(state.redis, int(time.time() * 1000)))


async def create_key(request: Request) -> Response:
    """201: the new key with its text, which is never shown again."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    return json_response(
        await keys.create(state.redis, await read_json(request, _key_body, _KEY_EXAMPLE)), 201
    )


async def revoke_key(request: Request) -> Response:
    """204: the key is revoked at once."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    await keys.revoke(state.redis, request.path_params["key_id"])
    return Response(status_code=204)
