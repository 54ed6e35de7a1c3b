"""Altered results: what can become of the files. Read by the table."""

import asyncio
import io
import zipfile

from aiohttp import web

from tests.support import glb
from tests.support.altering import (
    HTML,
    ONCE,
    STUCK_FOR,
    Alteration,
    Body,
    FileReply,
    FileSent,
    Spell,
    as_json,
    hang_up,
)

MESHY = "fal-ai/meshy/v6/image-to-3d"


def _reply(body: Body, spell: Spell = Spell()) -> FileReply:  # noqa: B008 - frozen
    return FileReply(lambda _original: body, spell, lasting=spell.lasting)


def _become(content: bytes, content_type: str = "application/octet-stream") -> FileReply:
    """Whole, and of another kind."""
    return FileReply(lambda _original: Body(200, content, content_type), lasting=False)


def _cut(spell: Spell = Spell()) -> FileReply:  # noqa: B008 - frozen
    def make(original: Body) -> Body:
        return Body(200, original.content, original.content_type, cut=True)

    return FileReply(make, spell, lasting=spell.lasting)


async def _slowly(request: web.Request, original: Body) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": original.content_type})
    reply.content_length = len(original.content)
    await reply.prepare(request)
    piece = max(1, len(original.content) // 15)
    for at in range(0, len(original.content), piece):
        await reply.write(original.content[at : at + piece])
        await asyncio.sleep(0.1)
    await reply.write_eof()
    return reply


async def _stuck(request: web.Request, original: Body) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": original.content_type})
    reply.content_length = len(original.content)
    await reply.prepare(request)
    await asyncio.sleep(STUCK_FOR)
    hang_up(request)
    return reply


async def _without_length(request: web.Request, original: Body) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"Content-Type": original.content_type})
    reply.enable_chunked_encoding()
    await reply.prepare(request)
    await reply.write(original.content)
    await reply.write_eof()
    return reply


async def _redirected(request: web.Request, original: Body) -> web.StreamResponse:
    if "direct" in request.query:
        return await original.send(request)
    return await Body(302, headers={"Location": f"{request.path}?direct=1"}).send(request)


async def _round_in_circles(request: web.Request, _original: Body) -> web.StreamResponse:
    return await Body(302, headers={"Location": request.path_qs}).send(request)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.glb", glb.glb())
    return buffer.getvalue()


def _points() -> bytes:
    primitive = {"attributes": {"POSITION": 0}, "mode": 0}
    return glb.glb(glb.document(meshes=[{"primitives": [primitive]}]))


_GLB = glb.glb()
_MISSING, _BROKEN = Body(404, b"gone", "text/plain"), Body(500, b"oops", "text/plain")
_EMPTY, _NO_MODEL = Body(200, b""), as_json({"message": "not found"})
_SECOND = Spell(seconds=1)

TRANSFERS = (
    Alteration("preview_404", files={"preview": _reply(_MISSING)}),
    Alteration("preview_500", files={"preview": _reply(_BROKEN)}),
    Alteration("preview_cut", files={"preview": _cut()}),
    Alteration("preview_slow", files={"preview": FileSent(_slowly)}),
    Alteration("preview_stuck", files={"preview": FileSent(_stuck, lasting=True)}),
    Alteration("preview_empty", files={"preview": _reply(_EMPTY)}),
    Alteration("preview_html", files={"preview": _reply(HTML)}),
    Alteration("preview_redirected", files={"preview": FileSent(_redirected)}),
    Alteration("preview_redirected_in_circles", files={"preview": FileSent(_round_in_circles, lasting=True)}),
    Alteration("model_404_at_first", files={"model": _reply(_MISSING, _SECOND)}),
    Alteration("model_404", files={"model": _reply(_MISSING)}),
    Alteration("model_500_twice", files={"model": _reply(_BROKEN, Spell(times=2))}),
    Alteration("model_500", files={"model": _reply(_BROKEN)}),
    Alteration("model_cut_once", files={"model": _cut(ONCE)}),
    Alteration("model_cut", files={"model": _cut()}),
    Alteration("model_slow", files={"model": FileSent(_slowly)}),
    Alteration("model_stuck_once", files={"model": FileSent(_stuck, ONCE)}),
    Alteration("model_empty_once", files={"model": _reply(_EMPTY, ONCE)}),
    Alteration("model_empty", files={"model": _reply(_EMPTY)}),
    Alteration("model_html_once", files={"model": _reply(HTML, ONCE)}),
    Alteration("model_html", files={"model": _reply(HTML)}),
    Alteration("model_json_without_asset", files={"model": _reply(_NO_MODEL)}),
    Alteration("model_redirected", files={"model": FileSent(_redirected)}),
    Alteration("model_without_length", files={"model": FileSent(_without_length)}),
    Alteration("model_of_points", files={"model": _become(_points())}),
    Alteration("model_with_bytes_behind", files={"model": _become(_GLB + bytes(7))}),
    Alteration("model_is_a_zip", files={"model": _become(_zip(), "application/zip")}),
    Alteration("model_is_obj", files={"model": _become(b"# obj\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")}),
    Alteration("model_is_unknown", files={"model": _become(bytes(range(1, 251)) * 4)}),
    Alteration("preferred_404", files={"model": _reply(_MISSING)}, needs=MESHY),
    Alteration("preferred_cut", files={"model": _cut()}, needs=MESHY),
    Alteration(
        "only_stl_left",
        files={
            "model": _reply(_MISSING),
            "fbx": _reply(HTML),
            "obj": _reply(_EMPTY),
            "usdz": _reply(_BROKEN),
        },
        needs=MESHY,
    ),
    Alteration(
        "variants_404",
        files={"fbx": _reply(_MISSING), "obj": _reply(_BROKEN), "usdz": _reply(_EMPTY), "stl": _cut()},
        needs=MESHY,
    ),
)
