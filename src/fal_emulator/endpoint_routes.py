"""The emulator's own routes for its endpoints: read, add, change and unlist one, add many.

They need no key. A row is JSON under the names of `fal_emulator.endpoints.row`.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fal_emulator.catalogue import RowError, read_row
from fal_emulator.replies import detail, json_reply
from fal_emulator.state import state_of


class Bulk(msgspec.Struct, forbid_unknown_fields=True):
    """How many synthetic endpoints there are to be."""

    count: int


_decode_row = msgspec.json.Decoder(dict[str, object]).decode
_decode_bulk = msgspec.json.Decoder(Bulk).decode
_MAX_BULK = 5000


async def endpoints(request: Request) -> Response:
    """`GET`: the ids, and the seed of the enumerations. `DELETE`: as at the start."""
    catalogue = state_of(request).catalogue
    if request.method == "DELETE":
        catalogue.reset()
    rows = [{"id": row.id, "status": row.status, "category": row.category} for row in catalogue.rows()]
    return json_reply({"schema_seed": catalogue.seed, "version": catalogue.version, "endpoints": rows})


async def endpoint(request: Request) -> Response:
    """`GET`: one row. `PUT`: add or replace it. `PATCH`: change it, by a JSON merge patch. `DELETE`: unlist
    it."""
    catalogue, endpoint_id = state_of(request).catalogue, request.path_params["id"].strip("/")
    try:
        if request.method == "PUT":
            body = await request.body()
            back = None if body else catalogue.relist(endpoint_id)
            return json_reply(back or catalogue.put(read_row(endpoint_id, _decode_row(body or b"{}"))))
        found = catalogue.find(endpoint_id)
        if found is None:
            return detail(404, f"there is no endpoint {endpoint_id}")
        if request.method == "PATCH":
            return json_reply(catalogue.patch(endpoint_id, _decode_row(await request.body())))
    except (RowError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return detail(422, str(error))
    if request.method == "DELETE":
        catalogue.unlist(endpoint_id)
    return json_reply(found)


async def bulk(request: Request) -> Response:
    """`POST`: add so many synthetic endpoints."""
    try:
        wanted = _decode_bulk(await request.body())
        if not 0 < wanted.count <= _MAX_BULK:
            return detail(422, f"count must be between 1 and {_MAX_BULK}, not {wanted.count}")
        added = state_of(request).catalogue.add_many(wanted.count)
    except (RowError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return detail(422, str(error))
    return json_reply({"added": added})


ROUTES = [
    Route("/_emulator/endpoints", endpoints, methods=["GET", "DELETE"]),
    Route("/_emulator/endpoints/bulk", bulk, methods=["POST"]),
    Route("/_emulator/endpoints/{id:path}", endpoint, methods=["GET", "PUT", "PATCH", "DELETE"]),
]
