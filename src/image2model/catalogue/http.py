"""The handlers of `/models`: the list from memory, one model, and the refresh that an operator asks for."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access.principal import require_admin
from image2model.access.state import AccessState, state_of
from image2model.catalogue import offer, stored
from image2model.catalogue.state import CatalogueState
from image2model.errors import NotFound
from image2model.http.bodies import json_response

_CACHE: Final = "private, no-cache"
"""A browser may keep it, and asks each time: the answer to that is 304 from memory."""
_JSON: Final = "application/json"


class RefreshDocument(msgspec.Struct, frozen=True):
    """The refresh was requested; the list's `updated_at` shows when it is done."""

    requested: bool = True


async def list_models(request: Request) -> Response:
    """200 with every model that the caller may use, or 304."""
    state = state_of(request, CatalogueState)
    principal = await state.authenticate(request.scope)
    catalogue = await state.catalogue.ready()
    answer = (await state.model_documents.of(catalogue)).listing(catalogue, principal.models)
    headers = {"ETag": answer.etag, "Cache-Control": _CACHE, "Vary": "Accept-Encoding"}
    if answer.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(answer.body, media_type=_JSON, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(await answer.compressed(), media_type=_JSON, headers=headers)


async def show_model(request: Request) -> Response:
    """200 with one model. Its id has slashes, as they are."""
    state = state_of(request, CatalogueState)
    principal = await state.authenticate(request.scope)
    model = request.path_params["model"]
    found = (await state.model_documents.of(await state.catalogue.ready())).one(model)
    if found is None or not offer.matches(principal.models, model, default=True):
        raise NotFound("This key may use no such model; GET /api/v1/models lists all that it may use.")
    return Response(found, media_type=_JSON, headers={"Cache-Control": _CACHE})


async def refresh(request: Request) -> Response:
    """202: a worker reads FAL's list now."""
    state = state_of(request, AccessState)
    require_admin(await state.authenticate(request.scope))
    await stored.request(state.redis)
    return json_response(RefreshDocument(), 202)
