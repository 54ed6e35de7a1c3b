"""FAL's platform API under `/v1`: models, prices, requests by endpoint, billing, meta; and the JWKS.

Reconciliation asks `by-endpoint` for a request whose submit reply was lost.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fal_emulator.listing import ListingError, model_page, price_page
from fal_emulator.lookup import QueryError, by_endpoint
from fal_emulator.replies import detail, json_reply, key_id, unauthorized
from fal_emulator.signing import USER_ID
from fal_emulator.state import state_of


async def models(request: Request) -> Response:
    """`GET /v1/models`: metadata, and with `expand=openapi-3.0` the schemas."""
    try:
        return json_reply(model_page(state_of(request).catalogue, request.query_params))
    except ListingError as error:
        return _platform_error(error)


async def pricing(request: Request) -> Response:
    """`GET /v1/models/pricing`."""
    if key_id(request) is None:
        return unauthorized()
    try:
        return json_reply(price_page(state_of(request).catalogue, request.query_params))
    except ListingError as error:
        return _platform_error(error)


def _platform_error(error: ListingError) -> Response:
    """A refusal as the platform API writes it."""
    return json_reply(
        {"error": {"type": error.kind, "message": str(error)}, "detail": str(error)}, error.status
    )


async def requests(request: Request) -> Response:
    """`GET /v1/models/requests/by-endpoint`."""
    if key_id(request) is None:
        return unauthorized()
    try:
        return json_reply(by_endpoint(state_of(request), request.query_params))
    except QueryError as error:
        return detail(400, str(error))


async def billing(request: Request) -> Response:
    """`GET /v1/account/billing`."""
    if key_id(request) is None:
        return unauthorized()
    body: dict[str, object] = {"username": USER_ID}
    if "credits" in request.query_params.getlist("expand"):
        body["credits"] = {"current_balance": 1000.0, "currency": "USD"}
    return json_reply(body)


async def meta(_request: Request) -> Response:
    """`GET /v1/meta`: where webhooks come from. Needs no key."""
    return json_reply({"webhook_ip_ranges": ["127.0.0.0/8", "::1/128"]})


async def jwks(request: Request) -> Response:
    """`GET /.well-known/jwks.json`: the keys that sign webhooks."""
    return json_reply(state_of(request).signer.jwks())


ROUTES = [
    Route("/v1/models", models, methods=["GET"]),
    Route("/v1/models/pricing", pricing, methods=["GET"]),
    Route("/v1/models/requests/by-endpoint", requests, methods=["GET"]),
    Route("/v1/account/billing", billing, methods=["GET"]),
    Route("/v1/meta", meta, methods=["GET"]),
    Route("/.well-known/jwks.json", jwks, methods=["GET"]),
]
