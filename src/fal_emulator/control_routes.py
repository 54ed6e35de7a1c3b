"""The emulator's own routes under `/_emulator`: ledger, faults, settings, model files, health.

They need no key. Called by tests and scripts; no client of FAL knows them.
"""

import asyncio
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fal_emulator.config import parse_duration
from fal_emulator.fault_rules import FaultRule, check_endpoint
from fal_emulator.faults import Fault
from fal_emulator.model_files import OCTETS, ModelFile, file_name
from fal_emulator.replies import detail, json_reply
from fal_emulator.state import State, state_of

_BACKGROUND_ENDPOINT = "tripo3d/tripo/v2.5/image-to-3d"


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """A change of the settings; durations as seconds or like `250ms`."""

    latency: float | str | None = None
    concurrency: int | None = None
    lookup_lag: float | str | None = None
    slow_transfer: float | str | None = None
    cold_start: float | str | None = None
    concurrency_headers: bool | None = None


class ConcurrencyChange(msgspec.Struct, forbid_unknown_fields=True):
    """How many requests run at once: of an account, and of one endpoint for an account (null: no limit)."""

    account: Annotated[int, msgspec.Meta(ge=0)] | None = None
    endpoints: dict[str, Annotated[int, msgspec.Meta(ge=0)] | None] = {}


class BackgroundOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Another program's requests: `count` at once, or `rate` a second until the DELETE, of `latency` each."""

    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    rate: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    latency: float | str | None = None
    endpoint: str | None = None
    account: str | None = None


_decode_rule = msgspec.json.Decoder(FaultRule).decode
_decode_change = msgspec.json.Decoder(Change).decode
_decode_concurrency = msgspec.json.Decoder(ConcurrencyChange).decode
_decode_order = msgspec.json.Decoder(BackgroundOrder).decode


def _seconds(value: float | str) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else float(value)
    if seconds < 0:
        raise ValueError(f"a duration must not be negative: {seconds}")
    return seconds


async def ledger(request: Request) -> Response:
    """`GET`: the ledger. `DELETE`: forget it and start the maximum anew."""
    state = state_of(request)
    if request.method == "DELETE":
        state.clear_ledger()
        return json_reply({})
    return json_reply(state.ledger.document())


async def faults(request: Request) -> Response:
    """`GET`: the rules in force. `POST`: one more. `DELETE`: none."""
    plan = state_of(request).faults
    if request.method == "DELETE":
        plan.clear()
    elif request.method == "POST":
        try:
            rule = check_endpoint(_decode_rule(await request.body()), state_of(request).catalogue.known)
            if rule.kind is Fault.PREVIEW_ELSEWHERE and state_of(request).config.elsewhere is None:
                return detail(422, "preview_elsewhere needs a second address: start with --elsewhere")
            plan.add(rule)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            return detail(422, str(error))
    return json_reply({"faults": plan.rules()})


async def model_files(request: Request) -> Response:
    """`GET`: names of the files that results are made of. `POST`: one more, its bytes as the body, its name
    in `X-Fal-File-Name`. `DELETE`: none, results are made from the pictures again."""
    files = state_of(request).model_files
    if request.method == "DELETE":
        files.clear()
    elif request.method == "POST":
        name = file_name(request.headers.get("x-fal-file-name", "model.glb"))
        files.add(ModelFile(name, request.headers.get("content-type", OCTETS), await request.body()))
    return json_reply({"model_files": files.names()})


async def settings(request: Request) -> Response:
    """`GET`: the settings. `POST`: change those that are named."""
    state = state_of(request)
    if request.method == "POST":
        try:
            _apply(state, _decode_change(await request.body()))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            return detail(422, str(error))
    return json_reply(state.settings)


def _apply(state: State, change: Change) -> None:
    latency = None if change.latency is None else _seconds(change.latency)
    lookup_lag = None if change.lookup_lag is None else _seconds(change.lookup_lag)
    slow_transfer = None if change.slow_transfer is None else _seconds(change.slow_transfer)
    cold_start = None if change.cold_start is None else _seconds(change.cold_start)
    if change.concurrency is not None and change.concurrency < 0:
        raise ValueError("concurrency must not be negative")
    if latency is not None:
        state.settings.latency = latency
    if lookup_lag is not None:
        state.settings.lookup_lag = lookup_lag
    if slow_transfer is not None:
        state.settings.slow_transfer = slow_transfer
    if cold_start is not None:
        state.settings.cold_start = state.runners.warmth.cold_start = cold_start
    if change.concurrency_headers is not None:
        state.settings.concurrency_headers = change.concurrency_headers
    if change.concurrency is not None:
        state.settings.concurrency = change.concurrency
        state.runners.resize(change.concurrency)


async def concurrency(request: Request) -> Response:
    """`GET`: how many requests run at once. `POST`: change what is named."""
    state = state_of(request)
    if request.method == "POST":
        try:
            change = _decode_concurrency(await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return detail(422, str(error))
        if change.account is not None:
            state.settings.concurrency = change.account
        state.runners.resize(change.account, change.endpoints)
    return json_reply({"account": state.runners.concurrency, "endpoints": state.runners.limits})


async def background(request: Request) -> Response:
    """`GET`: how many of another program's requests run and wait. `POST`: more. `DELETE`: none."""
    state = state_of(request)
    if request.method == "DELETE":
        state.background.stop()
    elif request.method == "POST":
        try:
            order = _decode_order(await request.body())
            latency = state.settings.latency if order.latency is None else _seconds(order.latency)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            return detail(422, str(error))
        endpoint = state.catalogue.find(order.endpoint or _BACKGROUND_ENDPOINT)
        if endpoint is None:
            return detail(422, f"no such endpoint: {order.endpoint}")
        account = order.account or state.background.account
        if account is None:
            return detail(422, 'nobody has submitted anything yet: name the "account", the id of its keys')
        state.background.submit(account, endpoint, latency, count=order.count, rate=order.rate)
    return json_reply(state.background.document())


async def health(request: Request) -> Response:
    """200 while it runs. `tasks` are those of its event loop."""
    in_flight = state_of(request).ledger.in_flight
    return json_reply({"status": "ok", "in_flight": in_flight, "tasks": len(asyncio.all_tasks())})


ROUTES = [
    Route("/_emulator/ledger", ledger, methods=["GET", "DELETE"]),
    Route("/_emulator/faults", faults, methods=["GET", "POST", "DELETE"]),
    Route("/_emulator/model-files", model_files, methods=["GET", "POST", "DELETE"]),
    Route("/_emulator/settings", settings, methods=["GET", "POST"]),
    Route("/_emulator/concurrency", concurrency, methods=["GET", "POST"]),
    Route("/_emulator/background", background, methods=["GET", "POST", "DELETE"]),
    Route("/_emulator/health", health, methods=["GET"]),
]
