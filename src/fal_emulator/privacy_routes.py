"""Access lists, signed addresses and the deletion of payloads, and the control that shows what is still held.

The platform API's storage part. Only files of the CDN have access lists; a partner's file is public, and no
deletion reaches it.
"""

import time
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fal_emulator.access import MAX_SIGNED_SECONDS, Acl
from fal_emulator.faults import Fault, Group
from fal_emulator.files import StoredFile
from fal_emulator.generation import Phase
from fal_emulator.input_urls import own_path
from fal_emulator.replies import base_url, detail, json_reply, key_id, unauthorized
from fal_emulator.state import Deletion, State, state_of

ADMIN: Final = "admin"
"""How the id of an admin key begins."""


class Signing(msgspec.Struct, frozen=True):
    """The body of a call that signs."""

    expiration_seconds: int


_decode_acl = msgspec.json.Decoder(Acl).decode
_decode_signing = msgspec.json.Decoder(Signing).decode


def _file(request: Request) -> tuple[str, StoredFile]:
    """The file of the query's `url`, with its path. Raises HTTPException."""
    url = request.query_params.get("url", "")
    path = own_path(url, base_url(request))
    if path is None or urlsplit(url).query:
        raise HTTPException(422, "url must be that of a file of the CDN, without a query")
    file = state_of(request).files.get(path)
    if file is None or file.partner:
        raise HTTPException(404, "File not found")
    return path, file


async def acl(request: Request) -> Response:
    """`GET`: the file's access list. `PUT`: another one; rules for unknown users are dropped."""
    if key_id(request) is None:
        return unauthorized()
    path, file = _file(request)
    if request.method == "PUT":
        try:
            file.acl = _decode_acl(await request.body()).applied()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return detail(422, str(error))
        state_of(request).files.change(path, file)
    return json_reply(file.acl)


async def sign(request: Request) -> Response:
    """`POST`: an address that opens the file whatever its access list, for at most 7 days."""
    if key_id(request) is None:
        return unauthorized()
    state = state_of(request)
    met = state.faults.draw(Group.SIGN)
    if Fault.SIGN_FAILS in met:
        return detail(int(str(met[Fault.SIGN_FAILS])), "The address could not be signed")
    path, _ = _file(request)
    try:
        seconds = _decode_signing(await request.body()).expiration_seconds
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return detail(422, str(error))
    if not 1 <= seconds <= MAX_SIGNED_SECONDS:
        return detail(422, f"expiration_seconds must be from 1 to {MAX_SIGNED_SECONDS}")
    query = state.signatures.query(path, -1 if Fault.SIGN_EXPIRED in met else seconds)
    return json_reply({"signed_url": f"{base_url(request)}/{path}?{query}"})


async def delete_payloads(request: Request) -> Response:
    """`DELETE`: input and output of a request, and its output files. Never its input files."""
    key = key_id(request)
    if key is None:
        return unauthorized()
    state, request_id = state_of(request), request.path_params["request_id"]
    generation = state.request(request_id)
    endpoint = None if generation is None else generation.endpoint.id
    met = state.faults.draw(Group.DELETION, endpoint)
    status, results = _deleted(state, request_id, key, met.get(Fault.ADMIN_REFUSED), set(met))
    left = sum(1 for one in results if one["exception"] is not None)
    phase = None if generation is None else generation.phase
    state.deletions.append(Deletion(request_id, status, phase, left))
    if status != 200:
        return detail(status, _REFUSALS[status])
    return json_reply({"cdn_delete_results": results})


_REFUSALS: Final = {
    400: "Request is still in progress",
    401: "The key is not valid",
    403: "This call needs an admin API key",
    404: "Request not found",
    500: "Internal server error",
}


def _deleted(
    state: State, request_id: str, key: str, refused: object, met: set[Fault]
) -> tuple[int, list[dict[str, str | None]]]:
    """The status, and what became of each file."""
    if refused is not None:
        return int(str(refused)), []
    if not key.startswith(ADMIN):
        return 403, []
    if Fault.DELETE_500 in met:
        return 500, []
    generation = state.request(request_id)
    if generation is None:
        return 404, []
    if generation.phase is not Phase.COMPLETED:
        return 400, []
    results: list[dict[str, str | None]] = []
    for path, file in state.files.held().items():
        if file.request_id == request_id and not file.partner:
            fails = Fault.DELETE_FAILS in met and not results
            link = f"{generation.base_url}/{path}"
            results.append({"link": link, "exception": f"Could not delete {link}" if fails else None})
            if not fails:
                state.files.remove(path)
    if not any(one["exception"] for one in results):
        generation.erased = True
        state.payloads.discard(request_id)
    return 200, results


class Held(msgspec.Struct, frozen=True):
    """One file that is still there; `expires_in` seconds."""

    path: str
    request_id: str
    kind: str
    partner: bool
    acl: str
    expires_in: float | None
    size: int


async def privacy(request: Request) -> Response:
    """`GET`: the files and payloads that are still held, and every call that deleted."""
    state = state_of(request)
    files = [
        Held(
            path,
            file.request_id,
            "output" if file.request_id else "input",
            file.partner,
            file.acl.default,
            None if file.expires_at is None else file.expires_at - time.monotonic(),
            file.size,
        )
        for path, file in state.files.held().items()
    ]
    return json_reply(
        {
            "files": files,
            "payloads": sorted(state.payloads),
            "deletions": state.deletions,
            "keyed_reads": state.keyed_reads,
            "store_io": state.store_io,
        }
    )


async def reveal(request: Request) -> Response:
    """`POST`: files that `preview_late` holds back are there now."""
    files = state_of(request).files
    for path, file in files.held().items():
        file.visible_at = 0.0
        files.change(path, file)
    return json_reply({})


ROUTES = [
    Route("/v1/storage/files/acl", acl, methods=["GET", "PUT"]),
    Route("/v1/storage/files/sign", sign, methods=["POST"]),
    Route("/v1/models/requests/{request_id}/payloads", delete_payloads, methods=["DELETE"]),
    Route("/_emulator/privacy", privacy, methods=["GET"]),
    Route("/_emulator/files/reveal", reveal, methods=["POST"]),
]
