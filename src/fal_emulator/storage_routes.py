"""FAL's storage: upload tokens, direct, multipart and initiated uploads, and serving what is stored.

Uploaded and made files share one place, `/files/…`, public as FAL's media URLs are, unless a lifecycle
preference or an access list (`access`) says otherwise.
"""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fal_emulator.access import NO_PREFERENCE, Decision, Lifecycle, lifecycle_of
from fal_emulator.faults import Group
from fal_emulator.file_replies import file_reply
from fal_emulator.files import Multipart, uploaded
from fal_emulator.model_files import OCTETS, file_name
from fal_emulator.refusals import internal_error
from fal_emulator.replies import answer_reply, base_url, detail, json_reply, key_id, unauthorized
from fal_emulator.state import state_of

_TOKEN_LIFE = timedelta(hours=1)


class Initiate(msgspec.Struct):
    """The body of an initiate call."""

    file_name: str = "upload.bin"
    content_type: str = OCTETS


def _new_path(name: str) -> str:
    return f"files/{uuid4().hex}/{file_name(name)}"


def _lifecycle(request: Request) -> Lifecycle:
    try:
        return lifecycle_of(request.headers)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _authorized(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("Bearer ") or key_id(request) is not None


_decode_initiate = msgspec.json.Decoder(Initiate).decode


async def token(request: Request) -> Response:
    """`POST /storage/auth/token`: for the CDN calls below."""
    if key_id(request) is None:
        return unauthorized()
    if state_of(request).faults.draw(Group.UPLOAD):
        return answer_reply(internal_error(), uuid4().hex)
    expires = datetime.now(UTC) + _TOKEN_LIFE
    return json_reply(
        {
            "token": uuid4().hex,
            "token_type": "Bearer",
            "base_url": base_url(request),
            "expires_at": expires.isoformat(),
        }
    )


async def upload(request: Request) -> Response:
    """`POST /files/upload`: the bytes themselves."""
    if not _authorized(request):
        return unauthorized()
    path = _new_path(request.headers.get("x-fal-file-name", "upload.bin"))
    content_type = request.headers.get("content-type", OCTETS)
    file = uploaded(await request.body(), content_type, path.rsplit("/", 1)[-1], _lifecycle(request))
    state_of(request).files.put(path, file)
    return json_reply({"access_url": f"{base_url(request)}/{path}"})


async def start_multipart(request: Request) -> Response:
    """`POST /files/upload/multipart`: parts follow at `{access_url}/multipart/{uploadId}/{number}`."""
    if not _authorized(request):
        return unauthorized()
    name = request.headers.get("x-fal-file-name", "upload.bin")
    path = _new_path(name)
    content_type = request.headers.get("content-type", OCTETS)
    multipart = Multipart.start(path, content_type, name, _lifecycle(request))
    upload_id = state_of(request).open_multipart(multipart)
    return json_reply({"access_url": f"{base_url(request)}/{path}", "uploadId": upload_id})


async def _initiated(request: Request) -> Initiate:
    try:
        return _decode_initiate(await request.body() or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(422, str(error)) from error


async def initiate(request: Request) -> Response:
    """`POST /storage/upload/initiate`: one PUT follows at `upload_url`."""
    if key_id(request) is None:
        return unauthorized()
    if state_of(request).faults.draw(Group.UPLOAD, value="all"):
        return answer_reply(internal_error(), uuid4().hex)
    asked = await _initiated(request)
    path = _new_path(asked.file_name)
    url = f"{base_url(request)}/{path}"
    state_of(request).preferences[path] = _lifecycle(request)
    return json_reply({"upload_url": f"{url}?upload=1", "file_url": url})


async def initiate_multipart(request: Request) -> Response:
    """`POST /storage/upload/initiate-multipart`: parts follow under `upload_url`."""
    if key_id(request) is None:
        return unauthorized()
    asked = await _initiated(request)
    path = _new_path(asked.file_name)
    multipart = Multipart.start(path, asked.content_type, asked.file_name, _lifecycle(request))
    upload_id = state_of(request).open_multipart(multipart)
    url = f"{base_url(request)}/{path}"
    return json_reply({"upload_url": f"{url}/multipart/{upload_id}", "file_url": url})


async def put_part(request: Request) -> Response:
    """`PUT …/multipart/{upload_id}/{number}`."""
    multipart = state_of(request).multiparts.get(request.path_params["upload_id"])
    if multipart is None:
        return detail(404, "Upload not found")
    data = await request.body()
    number = request.path_params["number"]
    multipart.parts[number] = data
    etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    return json_reply({"partNumber": number, "etag": etag}, headers={"etag": etag})


async def complete_multipart(request: Request) -> Response:
    """`POST …/multipart/{upload_id}/complete`."""
    state = state_of(request)
    multipart = state.multiparts.pop(request.path_params["upload_id"], None)
    if multipart is None:
        return detail(404, "Upload not found")
    state.files.put(multipart.path, multipart.whole())
    return json_reply({"access_url": f"{base_url(request)}/{multipart.path}"})


async def put_file(request: Request) -> Response:
    """The PUT of an initiated upload."""
    path = str(request.scope["path"]).lstrip("/")
    content_type = request.headers.get("content-type", OCTETS)
    state = state_of(request)
    lifecycle = state.preferences.pop(path, NO_PREFERENCE)
    state.files.put(path, uploaded(await request.body(), content_type, path.rsplit("/", 1)[-1], lifecycle))
    return json_reply({})


async def get_file(request: Request) -> Response:
    """`GET` or `HEAD` of any stored file."""
    if request.method == "PUT":
        return await put_file(request)
    state, path = state_of(request), str(request.scope["path"]).lstrip("/")
    state.keyed_reads += "authorization" in request.headers
    file = state.files.get(path)
    if file is None or time.monotonic() < file.visible_at:
        return detail(404, "File not found")
    if not file.partner and not state.signatures.opens(path, request.url.query):
        match file.acl.default:
            case Decision.HIDE:
                return detail(404, "File not found")
            case Decision.FORBID:
                return detail(403, "Access to this file is forbidden")
    return file_reply(request, state, file)


ROUTES = [
    Route("/storage/auth/token", token, methods=["POST"]),
    Route("/storage/upload/initiate", initiate, methods=["POST"]),
    Route("/storage/upload/initiate-multipart", initiate_multipart, methods=["POST"]),
    Route("/files/upload", upload, methods=["POST"]),
    Route("/files/upload/multipart", start_multipart, methods=["POST"]),
    Route("/files/{folder}/{name}/multipart/{upload_id}/complete", complete_multipart, methods=["POST"]),
    Route("/files/{folder}/{name}/multipart/{upload_id}/{number:int}", put_part, methods=["PUT"]),
    Route("/files/{folder}/{name}", get_file, methods=["GET", "HEAD", "PUT"]),
]
