"""Every endpoint on offer, run with each of its parameters set once at a value that is not its default, and
with objects of several views in each way that it takes.

It knows the HTTP interface of the service and the emulator's own documents, nothing of our code: a parameter
must reach FAL in the JSON type that FAL's document names, a view in the field of its side, the cost must be
the quote, and every file of FAL's result must be stored. `python -m tests.catalogue` runs it with as many
draws of the JSON types as it is told.
"""

import io
import json
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image

from tests.catalogue.views import PLAIN, Views, expected, least_views, several_views
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.up_process import Up

_AT_ONCE: Final = 12
_WIDTH: Final = 64
_PATIENCE_S: Final = 60.0
_ADDRESS: Final = "https://pictures.example.com/file.png"
_ENDED: Final = ("succeeded", "failed", "cancelled")
_HTTP_S: Final = 30.0


@dataclass
class Row:
    """One endpoint's line of the table."""

    model: str
    runs: int = 0
    objects: int = 0
    """Of the runs, those with several views."""
    files: int = 0
    kinds: set[str] = field(default_factory=set)
    cost_usd: float = 0.0
    needs: str = ""
    wrong: list[str] = field(default_factory=list)


def run_every_parameter(schema_seed: int) -> list[Row]:
    """One draw of the enumerations' JSON types: a row for each endpoint of the catalogue."""
    flags = ("--latency", "20ms", "--concurrency", "100", "--schema-seed", str(schema_seed))
    with emulator_process(*flags) as emulator, tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        settings = {
            "FAL_KEY": KEY,
            "I2M_FAL_BASE_URL": emulator.url,
            "I2M_MODELS": "*",
            "I2M_FAL_CONCURRENCY": "100",
            "I2M_LOG_LEVEL": "warning",
        }
        up = Up(Path(folder) / "data", "--port", "0", **settings)
        try:
            up.ready()
            with httpx.Client(base_url=f"{up.url}/api/v1", timeout=_HTTP_S) as service:
                return _Session(service, emulator).run()
        finally:
            up.end()


class _Session:
    """One service and its emulator."""

    def __init__(self, service: httpx.Client, emulator: EmulatorProcess) -> None:
        self._service = service
        self._emulator = emulator
        self._numbers = iter(range(1_000_000))
        self._lock = threading.Lock()

    def run(self) -> list[Row]:
        models = self._catalogue()
        rows = {model["id"]: Row(model["id"], needs=model.get("needs") or "") for model in models}
        cases = [case for model in models for case in _cases(model)]
        random.shuffle(cases)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for case, outcome in zip(cases, pool.map(self._case, cases), strict=True):
                row = rows[case.model["id"]]
                row.runs += 1
                row.objects += len(case.views) > 1
                row.files += len(outcome.kinds)
                row.kinds |= outcome.kinds
                row.cost_usd += outcome.cost_usd
                row.wrong += [f"{case}: {one}" for one in outcome.wrong]
        return list(rows.values())

    def _catalogue(self) -> list[dict[str, Any]]:
        """The models, once they were read from FAL."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            listed = self._service.get("/models").raise_for_status().json()
            if listed["source"] == "fal":
                return list(listed["models"])
            time.sleep(0.1)  # over HTTP there is nothing to wait for
        raise AssertionError("the service has not read FAL's catalogue")

    def _case(self, case: "_Case") -> "_Outcome":
        model = case.model
        params = {**_required(model["params"]), **case.params}
        pictures = self._pictures(case.views)
        form = {"model": model["id"], "params": json.dumps(params)}
        outcome = _Outcome()
        quoted = self._service.post("/quote", data=form, files=pictures)
        price = quoted.json()["cost_usd_each"] if quoted.is_success else None
        if price is None:
            form["max_cost_usd"] = "5"
        elif quoted.json()["price_source"] != "table":
            price = None  # FAL lists one price, whatever the parameters: what it bills may differ
        posted = self._service.post("/upload/batch", data=form, files=pictures)
        if posted.status_code != 202:
            outcome.wrong.append(f"refused: {posted.text[:300]}")
            return outcome
        image = self._ended(posted.json()["job_id"])
        if image["status"] != "succeeded":
            outcome.wrong.append(f"{image['status']}: {image['error']}")
            return outcome
        self._check(model["id"], params, image, price, outcome)
        self._check_views(case, image, outcome)
        return outcome

    def _check(
        self,
        model: str,
        params: Mapping[str, object],
        image: dict[str, Any],
        price: float | None,
        outcome: "_Outcome",
    ) -> None:
        outcome.cost_usd = image["cost_usd"]
        outcome.kinds = {one["kind"] for one in image["result"]["files"]}
        if price is not None and abs(price - image["cost_usd"]) > 1e-6:
            outcome.wrong.append(f"quoted {price}, cost {image['cost_usd']}")
        told = image["result"].get("warnings", ())
        # a splat has no header: it is stored, and said to be in no format that is known
        if warnings := [one for one in told if one["code"] != "file_unknown_format"]:
            outcome.wrong.append(f"warnings: {warnings}")
        sent = self._submitted(image["fal_request_id"])["input"]
        fields = self._fields(model)
        for name, value in params.items():
            if name not in sent:
                outcome.wrong.append(f"{name} did not reach FAL")
            elif not _fits(fields.get(name, {}), sent[name]) or not _same(sent[name], value):
                outcome.wrong.append(f"{name}: FAL got {sent[name]!r} for {value!r}")
        delivered = set(_addresses(self._result(model, image["fal_request_id"])))
        if len(image["result"]["files"]) != len(delivered):
            outcome.wrong.append(f"{len(outcome.kinds)} of {len(delivered)} files: {sorted(outcome.kinds)}")
        if "model" not in outcome.kinds:
            outcome.wrong.append("no model")

    def _check_views(self, case: "_Case", image: dict[str, Any], outcome: "_Outcome") -> None:
        """Every view is in FAL's input, where its side belongs, and no other picture."""
        sent = self._submitted(image["fal_request_id"])["input"]
        names = [one["name"] for one in case.model["inputs"] if one["name"] not in case.params]
        fields = {name: sent[name] for name in names if name in sent}
        widths = {
            name: [self._width(one) for one in value] if isinstance(value, list) else self._width(value)
            for name, value in fields.items()
        }
        if widths != expected(case.model, case.views):
            outcome.wrong.append(f"FAL got the views {widths}, not {expected(case.model, case.views)}")
        if len(image["views"]) != len(case.views):
            outcome.wrong.append(f"the document has {len(image['views'])} views")

    def _width(self, url: str) -> int:
        """Which view of the form it is."""
        with self._lock:
            answer = self._emulator.http.get(url).raise_for_status()
        with Image.open(io.BytesIO(answer.content)) as picture:
            return picture.width - _WIDTH

    def _ended(self, job_id: str) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            image: dict[str, Any] = (
                self._service.get(f"/status/{job_id}").raise_for_status().json()["images"][0]
            )
            if image["status"] in _ENDED:
                return image
            time.sleep(0.05)  # over HTTP there is nothing to wait for
        raise AssertionError(f"job {job_id} has not ended: {image}")

    def _submitted(self, request_id: str) -> dict[str, Any]:
        with self._lock:
            found = self._emulator.submissions()
        return next(one for one in found if one["request_id"] == request_id)

    def _result(self, model: str, request_id: str) -> object:
        app = "/".join(model.split("/")[:2])
        with self._lock:
            return self._emulator.http.get(f"/{app}/requests/{request_id}").json()

    def _fields(self, model: str) -> dict[str, Any]:
        """The input's fields in FAL's document."""
        query = {"endpoint_id": model, "expand": "openapi-3.0"}
        with self._lock:
            document = self._emulator.http.get("/v1/models", params=query).json()["models"][0]["openapi"]
        schemas = document["components"]["schemas"]
        name = next(one for one in schemas if one.endswith("Input"))
        return dict(schemas[name]["properties"])

    def _pictures(self, views: Views) -> list[tuple[str, tuple[str, bytes, str]]]:
        """One picture for each view, which is known at FAL by its width."""
        with self._lock:
            number = next(self._numbers)
        random_ = np.random.default_rng(number)
        parts = []
        for at, side in enumerate(views):
            pixels = random_.integers(0, 255, (_WIDTH, _WIDTH + at, 3), np.uint8)
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "PNG")
            name = "files" if views == PLAIN else f"objects[{number}]" + (f"[{side}]" if side else "")
            parts.append((name, (f"{number}-{at}.png", data.getvalue(), "image/png")))
        return parts


@dataclass(frozen=True)
class _Case:
    model: dict[str, Any]
    views: Views
    params: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{list(self.views)} {self.params}"


def _cases(model: dict[str, Any]) -> Iterator[_Case]:
    least = least_views(model)
    if least is None:
        return
    yield _Case(model, least)
    taken = expected(model, least)
    for name, value in _values(model["params"]):
        if name not in taken:
            yield _Case(model, least, {name: value})
    for views in several_views(model):
        yield _Case(model, views)


@dataclass
class _Outcome:
    kinds: set[str] = field(default_factory=set)
    cost_usd: float = 0.0
    wrong: list[str] = field(default_factory=list)


def _required(schema: Mapping[str, Any]) -> dict[str, object]:
    return {name: _other(schema["properties"][name]) for name in schema.get("required", ())}


def _values(schema: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, one in schema["properties"].items():
        yield name, _other(one)


def _other(schema: Mapping[str, Any]) -> object:
    """A value that the schema allows, and that is not its default."""
    default = schema.get("default")
    if choices := [one for one in schema.get("enum", ()) if one not in (default, None)]:
        return choices[-1]
    kinds = schema.get("type", "string")
    kind = next((one for one in kinds if one != "null"), "string") if isinstance(kinds, list) else kinds
    if kind == "boolean":
        return not default
    if kind in ("integer", "number"):
        return _other_number(schema, default, whole=kind == "integer")
    if kind == "array":
        least = max(schema.get("minItems", 1), 1)
        return [_other(schema.get("items", {"type": "object"})) for _ in range(least)]
    if kind == "object":
        return {name: _other(one) for name, one in schema.get("properties", {}).items()}
    if schema.get("enum"):
        return schema["enum"][0]
    return _ADDRESS if schema.get("format") == "uri" else "a wooden chair"


def _other_number(schema: Mapping[str, Any], default: object, *, whole: bool) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = 1 if whole else 0.25
    start = default if isinstance(default, int | float) else (low if low is not None else 1)
    if high is None or start + step < high:
        return start + step
    value = (low if low is not None else 0) + (high - (low if low is not None else 0)) / 4
    return int(value) if whole else value


def _fits(schema: Mapping[str, Any], value: object) -> bool:
    """Whether an enumeration of FAL's document holds the value in this JSON type."""
    found = schema
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            found = one
    listed = found.get("enum")
    return listed is None or any(one == value and type(one) is type(value) for one in listed)


def _same(sent: object, given: object) -> bool:
    """Whether both spell the same value; `_fits` looks at its JSON type."""
    return sent == given or str(sent) == str(given)


def _addresses(output: object) -> Iterator[str]:
    """Every file of FAL's result."""
    if isinstance(output, dict):
        if isinstance(output.get("url"), str):
            yield output["url"]
        for one in output.values():
            yield from _addresses(one)
    elif isinstance(output, list):
        for one in output:
            yield from _addresses(one)
