"""The request of a second step, as JSON or as a form: the same fields, and in a form maybe a picture."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request

from image2model.errors import InvalidParameter, UnsupportedMediaType
from image2model.http.bodies import read_json
from image2model.http.upload import ReceivedBatch, ReceivedFile, Sink, read_batch
from image2model.http.upload.step_form import StepFormReader
from image2model.jobs.state import JobsState
from image2model.media.inspect import inspect

EXAMPLE: Final = '{"model": "fal-ai/meshy/v5/retexture", "params": {"text_style_prompt": "oak"}}'


class DeriveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A second step. `file` is the kind of the parent's file to start from; the best one where it is left
    out."""

    model: str
    params: dict[str, object] = {}
    params_strict: bool = True
    face_limit: int | None = None
    file: str | None = None
    max_cost_usd: float | None = None
    metadata: dict[str, object] = {}
    webhook_url: str | None = None
    priority: str = "normal"
    no_cache: bool = False

    def fields(self) -> dict[str, str]:
        """The same as a form has it."""
        given = {
            "model": self.model,
            "params": _json(self.params),
            "params_strict": _json(self.params_strict),
            "face_limit": None if self.face_limit is None else str(self.face_limit),
            "file": self.file,
            "max_cost_usd": None if self.max_cost_usd is None else _decimal(self.max_cost_usd),
            "metadata": _json(self.metadata),
            "webhook_url": self.webhook_url,
            "priority": self.priority,
            "no_cache": _json(self.no_cache),
        }
        return {name: value for name, value in given.items() if value is not None}


class StepRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for. `batch` holds the picture, where one came."""

    fields: Mapping[str, str]
    batch: ReceivedBatch

    @property
    def picture(self) -> ReceivedFile | None:
        """The picture for this step. Raises the problem of a bad one."""
        self.batch.refuse_bad()
        return self.batch.files[0] if self.batch.files else None

    @property
    def model(self) -> str:
        """The endpoint's id. Raises InvalidParameter where there is none."""
        model = self.fields.get("model")
        if not model:
            raise InvalidParameter(
                "Name the `model` of the second step: one with `takes_model` in GET /api/v1/models."
            )
        return model

    def fingerprint(self, job_id: str, image_id: str) -> str:
        """The same for the same request about the same parent. See `batch_request.fingerprint`."""
        fields = sorted((name, value) for name, value in self.fields.items() if name != "max_cost_usd")
        files = [(one.filename, one.sha256) for one in self.batch.files]
        files += [(one.fault.file, one.fault.code) for one in self.batch.bad]
        text = msgspec.json.encode(["derive", job_id, image_id, fields, files])
        return hashlib.sha256(text).hexdigest()


_body: Final = msgspec.json.Decoder(DeriveBody)


async def read_request(request: Request, state: JobsState, sink: Sink) -> StepRequest:
    """Read it to its end; a picture goes to the sink.

    Raises UnsupportedMediaType, InvalidParameter, BodyTooLarge, and as `read_batch`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        batch = await read_batch(
            request.receive,
            request.headers,
            limits=state.upload_limits,
            budget=state.upload_budget,
            inspect=partial(inspect, max_pixels=state.settings.max_pixels),
            sink=sink,
            reader=StepFormReader,
        )
        return StepRequest(fields=batch.fields, batch=batch)
    if kind not in ("application/json", ""):
        raise UnsupportedMediaType(
            "Send a second step as application/json, or with a picture as multipart/form-data."
        )
    body = await read_json(request, _body, EXAMPLE)
    return StepRequest(fields=body.fields(), batch=ReceivedBatch((), (), {}))


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _decimal(dollars: float) -> str:
    return f"{dollars:.6f}".rstrip("0").rstrip(".")
