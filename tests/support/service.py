"""A small double of the HTTP interface, for what the real service cannot be made to do on demand.

It answers a lost reply, a stream cut after each event, a job that has expired, and counts what it was
sent. Shapes are those of the interface's page. It runs under real uvicorn in a thread.
"""

import asyncio
import hashlib
import io
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import multipart  # type: ignore[import-untyped]
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.wait import wait_until

WARNING = {"code": "file_missing", "file": "preview", "message": "FAL no longer has the preview."}
"""What the pictures in `warned` get, and an uncertain cost with it."""
STEPS = ("preparing", "submitted", "generating", "storing")


@dataclass
class FakeJob:
    """One job: its document, and its events as (id, name, data)."""

    document: dict[str, Any]
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)


@dataclass
class Service:
    """The double's state and the knobs that tests turn."""

    url: str = ""
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    uploads: list[list[str]] = field(default_factory=list)
    fields: list[dict[str, str]] = field(default_factory=list)
    """Of each upload, the repeated ones too."""
    parts: list[list[tuple[str, str]]] = field(default_factory=list)
    """The name and the filename of each file of each upload, the repeated ones too."""
    quotes: list[list[str]] = field(default_factory=list)
    price: float | None = 0.3
    cached: set[str] = field(default_factory=set)
    quote_warnings: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """Of each picture, by its name; under "" those of the whole."""
    retries: list[list[str] | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    lose_replies: int = 0
    refuse_with: list[JSONResponse] = field(default_factory=list)
    events_per_connection: int = 10_000
    running: bool = True
    max_files: int = 25
    short_downloads: int = 0

    def forget(self) -> None:
        """Every job has expired."""
        self.jobs.clear()
        self.keys.clear()


async def _torn() -> AsyncIterator[bytes]:
    yield b"{"
    raise ConnectionResetError("the reply is lost")


def problem(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """An RFC 9457 answer."""
    headers = more.pop("headers", None)
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, **more}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


class _Api:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.app = Starlette(
            routes=[
                Route("/api/v1/upload/batch", self.upload, methods=["POST"]),
                Route("/api/v1/quote", self.quote, methods=["POST"]),
                Route("/api/v1/status/{job_id}", self.status),
                Route("/api/v1/status/stream/{job_id}", self.stream),
                Route("/api/v1/jobs", self.listing),
                Route("/api/v1/download/{job_id}/{image_id}", self.download),
                Route("/api/v1/jobs/{job_id}/retry", self.retry, methods=["POST"]),
                Route("/api/v1/jobs/{job_id}/cancel", self.cancel, methods=["POST"]),
                Route("/api/v1/jobs/{job_id}", self.delete, methods=["DELETE"]),
                Route("/files/{name}", self.file),
            ]
        )

    async def upload(self, request: Request) -> Response:
        service = self.service
        service.headers.append(dict(request.headers))
        files, fields, parts = await _form(request)
        service.fields.append(fields)
        service.parts.append(parts)
        if service.refuse_with:
            return service.refuse_with.pop(0)
        key = request.headers["idempotency-key"]
        if key not in service.keys:
            if len(files) > service.max_files:
                return problem(422, "too_many_files", f"at most {service.max_files}")
            service.uploads.append([one.name for one in files])
            service.keys[key] = self._accept(files, fields)
        if service.lose_replies:
            service.lose_replies -= 1
            return StreamingResponse(_torn(), 202, headers={"Content-Length": "1000"})
        return JSONResponse(service.jobs[service.keys[key]].document, 202)

    async def quote(self, request: Request) -> Response:
        service = self.service
        names = [one.name for one in (await _form(request))[0]]
        if service.refuse_with:
            return service.refuse_with.pop(0)
        if len(names) > service.max_files:
            return problem(422, "too_many_files", f"at most {service.max_files}")
        service.quotes.append(names)
        return JSONResponse(
            {
                "model": "m",
                "accepted": True,
                "warnings": service.quote_warnings.get("", []),
                "images": [self._verdict(name) for name in names],
            }
        )

    def _verdict(self, name: str) -> dict[str, Any]:
        if name in self.service.refused:
            fault = {"code": "image_truncated", "detail": "The file ends early."}
            return {"filename": name, "ok": False, "cost_usd": 0.0, **fault}
        cached = name in self.service.cached
        return {
            "filename": name,
            "ok": True,
            "cached": cached,
            "cost_usd": 0.0 if cached else self.service.price,
            "warnings": self.service.quote_warnings.get(name, []),
        }

    def _accept(self, files: list["Sent"], fields: dict[str, str]) -> str:
        job_id = uuid4().hex
        numbers = range(1, int(fields["variants"]) + 1) if "variants" in fields else [None]
        good = [(one, n) for one in files if one.name not in self.service.refused for n in numbers]
        images = [
            {
                "image_id": uuid4().hex,
                "index": index,
                "filename": one.name,
                "size": sum(map(len, one.data)),
                "sha256": one.sha256,
                "status": "queued",
                "attempt": 1,
                "variant": number,
            }
            for index, (one, number) in enumerate(good)
        ]
        rejected = [
            {"file": one.name, "code": "image_truncated", "detail": "The file ends early."}
            for one in files
            if one.name in self.service.refused
        ]
        document = {"job_id": job_id, "images": images, "rejected": rejected}
        document["model"] = fields.get("model", "m")
        document["created_at"] = datetime.now(UTC).isoformat()
        self.service.jobs[job_id] = FakeJob({**document, "total": len(images)})
        self._count(job_id)
        return job_id

    def _count(self, job_id: str) -> None:
        document = self.service.jobs[job_id].document
        counts: dict[str, int] = {}
        for image in document["images"]:
            counts[image["status"]] = counts.get(image["status"], 0) + 1
        document["counts"] = counts
        ended = sum(counts.get(name, 0) for name in ("succeeded", "failed", "cancelled"))
        document["status"] = "running" if ended < len(document["images"]) else _final(counts)

    def _advance(self, job: FakeJob) -> bool:
        """One more event, if there is one to come."""
        for image in job.document["images"]:
            following = _next(image, self.service)
            if following:
                image.update(following)
                self._tell(job, image)
                return True
        if not job.events or job.events[-1][1] != "complete":
            job.events.append((len(job.events) + 1, "complete", json.loads(json.dumps(job.document))))
            return True
        return False

    def _tell(self, job: FakeJob, image: dict[str, Any]) -> None:
        self._count(job.document["job_id"])
        change = {name: job.document[name] for name in ("job_id", "status", "counts")}
        job.events.append((len(job.events) + 1, "image", {**change, "progress": 0.5, "image": dict(image)}))

    async def status(self, request: Request) -> Response:
        job = self.service.jobs.get(request.path_params["job_id"])
        return JSONResponse(job.document) if job else problem(404, "not_found", "No such job.")

    async def listing(self, _request: Request) -> Response:
        heads = [{**job.document, "images": []} for job in reversed(self.service.jobs.values())]
        return JSONResponse({"jobs": heads, "next_cursor": None})

    async def stream(self, request: Request) -> Response:
        job = self.service.jobs.get(request.path_params["job_id"])
        if job is None:
            return problem(404, "not_found", "No such job.")
        last = request.headers.get("last-event-id")
        if (
            last is not None
            and job.events
            and job.events[-1][1] == "complete"
            and int(last) >= len(job.events)
        ):
            return Response(status_code=204)
        return StreamingResponse(self._events(job, last), media_type="text/event-stream")

    async def _events(self, job: FakeJob, last: str | None) -> AsyncIterator[str]:
        yield "retry: 10\n\n"
        position, sent = int(last) if last is not None else len(job.events), 0
        if last is None:
            yield _event(position, "snapshot", job.document)
            if job.events and job.events[-1][1] == "complete":
                position -= 1
        while sent < self.service.events_per_connection:
            while position >= len(job.events):
                if not self.service.running:
                    await asyncio.sleep(0.01)
                elif not self._advance(job):
                    return
            yield _event(*job.events[position])
            position, sent = position + 1, sent + 1
            if job.events[position - 1][1] == "complete":
                return

    async def download(self, request: Request) -> Response:
        job = self.service.jobs.get(request.path_params["job_id"])
        if job is None:
            return problem(404, "not_found", "No such job.")
        return RedirectResponse(f"/files/{request.path_params['image_id']}", 307)

    async def file(self, request: Request) -> Response:
        if self.service.short_downloads:
            self.service.short_downloads -= 1
            return Response(b"glTF")
        return Response(model_of(request.path_params["name"]))

    async def retry(self, request: Request) -> Response:
        job = self.service.jobs[request.path_params["job_id"]]
        wanted = (await request.json())["image_ids"] if await request.body() else None
        self.service.retries.append(wanted)
        for image in job.document["images"]:
            if image["status"] == "failed" and (wanted is None or image["image_id"] in wanted):
                image.update(status="queued", error=None, attempt=image["attempt"] + 1)
                self._tell(job, image)
        return JSONResponse(job.document, 202)

    async def cancel(self, request: Request) -> Response:
        job = self.service.jobs[request.path_params["job_id"]]
        for image in job.document["images"]:
            if image["status"] not in {"succeeded", "failed"}:
                image["status"] = "cancelled"
        self._count(job.document["job_id"])
        return JSONResponse(job.document, 202)

    async def delete(self, request: Request) -> Response:
        found = self.service.jobs.pop(request.path_params["job_id"], None)
        return Response(status_code=204) if found else problem(404, "not_found", "No such job.")


@dataclass
class Sent:
    """A picture, or an object of several views."""

    name: str
    sides: list[str] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """As the interface's page says it."""
        hashes = [hashlib.sha256(one).hexdigest() for one in self.data]
        lines = [f"{side}:{one}" for side, one in zip(self.sides, hashes, strict=True)]
        return hashes[0] if self.sides == [""] else hashlib.sha256("\n".join(lines).encode()).hexdigest()


async def _form(request: Request) -> tuple[list[Sent], dict[str, str], list[tuple[str, str]]]:
    """The pictures and objects, the other fields, and the names of the parts with files."""
    body = await request.body()
    boundary = multipart.parse_options_header(request.headers["content-type"])[1]["boundary"]
    parts = multipart.MultipartParser(io.BytesIO(body), boundary, content_length=len(body)).parts()
    sent: dict[str, Sent] = {}
    for index, part in enumerate(parts):
        view = re.fullmatch(r"objects\[([^]]+)\](?:\[([^]]+)\])?", part.name)
        if view or part.name == "files":
            one = sent.setdefault(view[1] if view else str(index), Sent(view[1] if view else part.filename))
            one.sides.append((view[2] or "") if view else "")
            one.data.append(part.raw)
    fields = {part.name: part.raw.decode() for part in parts if part.filename is None}
    names = [(part.name, part.filename) for part in parts if part.filename is not None]
    for part in parts:
        part.close()
    return list(sent.values()), fields, names


def model_of(image_id: str) -> bytes:
    """The bytes that an image's model has here."""
    return b"glTF" + image_id.encode() * 100


def _next(image: dict[str, Any], service: Service) -> dict[str, Any] | None:
    if image["status"] == "queued":
        return {"status": STEPS[0]}
    if image["status"] in STEPS[:-1]:
        return {"status": STEPS[STEPS.index(image["status"]) + 1]}
    if image["status"] != STEPS[-1]:
        return None
    if image["filename"] in service.failing:
        error = {"code": "generation_failed", "message": "The model gave up.", "retryable": True}
        return {"status": "failed", "error": error, "cost_usd": 0.0}
    size = len(model_of(image["image_id"]))
    files = [{"kind": "model", "format": "glb", "size": size, "url": ""}]
    done: dict[str, Any] = {"status": "succeeded", "result": {"files": files, "mesh": None}, "cost_usd": 0.3}
    if image["filename"] in service.warned:
        done["result"]["warnings"] = [WARNING]
        done["cost_uncertain"] = True
    return done


def _final(counts: dict[str, int]) -> str:
    if counts.get("succeeded"):
        return "partial" if len(counts) > 1 else "succeeded"
    return "failed" if counts.get("failed") else "cancelled"


def _event(number: int, name: str, data: dict[str, Any]) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


@contextmanager
def running_service() -> Iterator[Service]:
    """The double on a free port of loopback."""
    service = Service()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        _Api(service).app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    wait_until(lambda: server.started)
    try:
        yield service
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
